/** Which nodes are up: a board that answers for its address must not be played beside itself. */
import { createSocket } from 'node:dgram'
import { runTool } from './tools.ts'

/** Long enough for an ARP request to be answered on any LAN. */
const ANSWER_MS = 1000
/** Nobody listens there; the packet is only sent to make the system ask who has the address. */
const DISCARD_PORT = 9

/** @returns those of the addresses that somebody answers for now */
export async function findAnswering(
  addresses: readonly string[],
  serverInterface: string,
): Promise<Set<string>> {
  await forgetNeighbours(addresses, serverInterface)
  const socket = createSocket('udp4')
  socket.on('error', () => {})
  for (const address of addresses) socket.send(Buffer.of(0), DISCARD_PORT, address, () => {})
  await new Promise((resolve) => setTimeout(resolve, ANSWER_MS))
  socket.close()
  const { stdout } = await runTool('ip', ['-4', 'neigh', 'show', 'dev', serverInterface])
  const answering = stdout
    .split('\n')
    .flatMap((line) => (line.includes(' lladdr ') ? (line.split(' ')[0] ?? []) : []))
  return new Set(answering.filter((address) => addresses.includes(address)))
}

/** What the system remembers would count as an answer; so would a node that was only played. */
export async function forgetNeighbours(addresses: readonly string[], serverInterface: string): Promise<void> {
  for (const address of addresses) await runTool('ip', ['neigh', 'del', address, 'dev', serverInterface])
}
