/**
 * Sends a DISCOVER and collects every OFFER to it, from a network namespace
 * whose only way out is the wire under test.
 */
import { createSocket, type Socket } from 'node:dgram'
import { FormatError } from '../../errors.ts'
import type { Discover } from './discover.ts'
import { type DhcpMessage, formatDhcpRequest, OPTION, readDhcpMessage } from './packet.ts'

export interface Offer extends DhcpMessage {
  /** Who sent it, by the IP header. */
  from: string
}

/** As often as the Pi 3's ROM, but not as slowly. */
const TRIES = 4
const TRY_MS = 2500
/** How much later than the first a second server's answer may come; dnsmasq may be told to wait a second. */
const SECOND_MS = 1500

/** @returns the offers in the order they came, one of each server; none: nobody answers */
export async function askForOffers(discover: Discover): Promise<Offer[]> {
  const offers = new Map<string, Offer>()
  const socket = createSocket('udp4')
  socket.on('message', (bytes, { address }) => {
    const offer = readOffer(bytes, discover)
    const key = `${address} ${offer?.yiaddr === '0.0.0.0' ? 'menu' : 'address'}`
    if (offer !== undefined && !offers.has(key)) offers.set(key, { ...offer, from: address })
  })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(68, () => resolve())
    })
    socket.setBroadcast(true)
    for (let tries = 0; tries < TRIES && offers.size === 0; tries++) {
      await send(socket, formatDhcpRequest(discover))
      for (let waited = 0; waited < TRY_MS && offers.size === 0; waited += 50) await sleep(50)
    }
    if (offers.size > 0) {
      await sleep(SECOND_MS)
      // Of a second server the question, or its answer, may have been lost.
      await send(socket, formatDhcpRequest(discover))
      await sleep(SECOND_MS)
    }
    return [...offers.values()]
  } finally {
    socket.close()
  }
}

/** undefined: not an offer, or somebody else's. */
function readOffer(bytes: Uint8Array, { xid, mac }: Discover): DhcpMessage | undefined {
  try {
    const message = readDhcpMessage(bytes)
    const type = message.options.get(OPTION.messageType)?.[0]
    return message.op === 2 && message.xid === xid && message.mac === mac && type === 2 ? message : undefined
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

const send = (socket: Socket, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) =>
    socket.send(bytes, 67, '255.255.255.255', (error) => (error === null ? resolve() : reject(error))),
  )

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
