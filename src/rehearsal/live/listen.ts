/**
 * Hears boards ask for an address. dnsmasq's log cuts option 97 short, and has
 * none of it for a board that it refuses.
 *
 * The socket is bound to the broadcast address, so that it takes none of the
 * packets that are sent to dnsmasq alone.
 */
import { createSocket } from 'node:dgram'
import { FormatError } from '../../errors.ts'
import { REHEARSAL } from '../dhcp/discover.ts'
import { OPTION, readDhcpMessage } from '../dhcp/packet.ts'
import { type Boot, identify } from './boots.ts'

export interface Listener {
  /** Boards that were heard since, by MAC address. */
  readonly heard: Map<string, Boot>
  close(): void
}

/** Whoever makes up addresses can ask under any number: the newest count. */
const MAX_HEARD = 1000

/** @returns hears nothing where it may not: then the log is all there is */
export async function listenForBoards(): Promise<Listener> {
  const heard = new Map<string, Boot>()
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.on('message', (bytes) => {
    const boot = readBoard(bytes)
    if (boot === undefined) return
    heard.delete(boot.mac)
    heard.set(boot.mac, boot)
    const [oldest] = heard.keys()
    if (heard.size > MAX_HEARD && oldest !== undefined) heard.delete(oldest)
  })
  await new Promise<void>((resolve) => {
    socket.once('error', () => resolve())
    socket.bind({ address: '255.255.255.255', port: 67 }, () => resolve())
  })
  return { heard, close: () => socket.close() }
}

/** undefined: no boot loader of a Pi. */
function readBoard(bytes: Uint8Array): Boot | undefined {
  try {
    const { op, mac, options } = readDhcpMessage(bytes)
    const machineId = options.get(OPTION.machineId)
    const isPxe = Buffer.from(options.get(OPTION.vendorClass) ?? '')
      .toString('latin1')
      .startsWith('PXEClient')
    const isPlayed = Buffer.from(options.get(OPTION.userClass) ?? '').includes(REHEARSAL)
    if (op !== 1 || machineId === undefined || !isPxe || isPlayed) return undefined
    const boot: Boot = { mac, sent: [], missing: [] }
    identify(boot, machineId)
    return boot
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}
