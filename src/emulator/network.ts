/**
 * A guest's network without root. Alone: QEMU's own (user mode), in which the
 * guest has its address and one port of 127.0.0.1 leads to its ssh. Several:
 * a switch of ours (./switch.ts), and on it that same network, run by a QEMU
 * without a machine.
 *
 * Source: qemu(1), "Network options".
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Cidr, contains, formatCidr, formatIpv4, lastOf, networkOf, parseIpv4 } from '../cluster/ipv4.ts'

/** A guest's way in. */
export interface Forward {
  /** Port of 127.0.0.1. */
  port: number
  /** Of the guest; undefined: whichever it is given first. */
  address?: string
}

export interface UserNetwork {
  /** Of the guests' network; undefined: QEMU's own choice, 10.0.2.0/24. */
  subnet?: { address: number; prefix: number }
  /** Where guests look for a gateway: it is answered there. */
  gateway?: string
  /** Addresses that are taken. */
  taken: readonly string[]
  /** Whether guests get further than this network. */
  open: boolean
  forwards: readonly Forward[]
}

/** The value of `-netdev`, with that id. */
export function userNetwork(id: string, { subnet, gateway, taken, open, forwards }: UserNetwork): string {
  const words = ['user', `id=${id}`, `restrict=${open ? 'off' : 'on'}`]
  if (subnet !== undefined) {
    const network = networkOf(subnet.address, subnet.prefix)
    const used = taken.flatMap((text) => parseIpv4(text) ?? [])
    const isFree = (address: number) => contains(network, address) && !used.includes(address)
    const gate = parseIpv4(gateway ?? '')
    const host = gate !== undefined && isFree(gate) ? gate : lastFree(network, used)
    const dns = lastFree(network, [...used, host])
    words.push(`net=${formatCidr(network)}`, `host=${formatIpv4(host)}`, `dns=${formatIpv4(dns)}`)
    // QEMU hands out upwards from here, without a look at who has an address already.
    const first = lastFree(network, [...used, host, dns], Math.max(...used, network.base) + 1)
    words.push(`dhcpstart=${formatIpv4(first)}`)
  }
  for (const { port, address = '' } of forwards) words.push(`hostfwd=tcp:127.0.0.1:${port}-${address}:22`)
  return words.join(',')
}

/** From the end of the network, which people use last; at least `from` where there is one left. */
function lastFree(network: Cidr, used: readonly number[], from?: number): number {
  const last = lastOf(network) - 1
  if (from !== undefined && from <= last && !used.includes(from)) return from
  let address = last
  while (used.includes(address)) address -= 1
  return address
}

/** A guest's network interface on the network of that id. */
export const networkCard = (machine: string, id: string, mac: string): string[] =>
  machine === 'virt'
    ? ['-device', `virtio-net-pci,netdev=${id},mac=${mac},romfile=`]
    : ['-device', `usb-net,netdev=${id},mac=${mac}`]

/** One for each guest of a run; of Raspberry Pi's own, for a USB adapter with any other is usb0 and not eth0. */
export const guestMac = (index: number): string =>
  `b8:27:eb:12:34:${(index + 1).toString(16).padStart(2, '0')}`

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no TCP port')
  return address.port
}
