/** Back to the edition that a node had before: at its next boot, and by one link. */
import { formatCidr, networkOf, parseIpv4 } from '../cluster/ipv4.ts'
import { NetrootError } from '../errors.ts'
import { type EditionRecord, isIsolated } from './edition.ts'
import { currentEdition, listEditions, switchTo } from './editions.ts'
import { withExports } from './node-exports.ts'
import type { ServedCluster, ServedNode } from './served.ts'
import type { ServerRoot } from './server-root.ts'
import { readServed, writeServed } from './state.ts'

export interface RolledBack {
  node: string
  from: string
  to: string
}

/**
 * @param names nodes; undefined: all that have an earlier edition
 * @throws {NetrootError} a named node has none, or no node has, or it is of a network that the server has left;
 * nothing is changed then
 */
export async function rollBack(
  state: string,
  names: readonly string[] | undefined,
  place: ServerRoot,
): Promise<{ served: ServedCluster; nodes: RolledBack[] }> {
  const served = readServed(state, place)
  const steps = (names ?? served.nodes.map(({ name }) => name)).flatMap((node) => {
    if (!served.nodes.some(({ name }) => name === node))
      throw new NetrootError(`${node} is not laid out in ${state}`, { hint: 'piimage netroot lays it out' })
    const step = earlierOf(state, node, place)
    if (step === undefined && names !== undefined)
      throw new NetrootError(`${node} has no earlier edition`, {
        hint: 'It was laid out once, or the earlier ones were pruned.',
      })
    if (step !== undefined && !isIsolated(step.to))
      throw new NetrootError(`${node}: edition ${step.to.edition} lies on the server's own file system`, {
        hint: 'An earlier piimage laid it out, and a node on it could reach all of the server: piimage netroot makes a new one.',
      })
    return step === undefined ? [] : [step]
  })
  if (steps.length === 0)
    throw new NetrootError(`no node in ${state} has an earlier edition`, {
      hint: 'They were laid out once, or the earlier ones were pruned.',
    })
  for (const { node, to } of steps) checkAddress(served, node, to)
  const switches = steps.map(({ node, to }) => ({ node, edition: to.edition }))
  await switchTo(state, switches, place, { keepOrder: true })
  const now = new Map(steps.map(({ node, to }) => [node, to]))
  const nodes = served.nodes.map((node) => withRecord(node, now.get(node.name), state, place))
  const after = { ...served, nodes }
  await writeServed(after, place)
  return { served: after, nodes: steps.map(({ node, from, to }) => ({ node, from, to: to.edition })) }
}

/** An edition's address is in its kernel's command line; a server that has moved since would never be found. */
function checkAddress({ server, nodes }: ServedCluster, name: string, { edition, ip }: EditionRecord): void {
  const isOverUsb = nodes.some((node) => node.name === name && node.usbSlot !== undefined)
  const address = parseIpv4(ip ?? '')
  if (isOverUsb || address === undefined) return
  const network = networkOf(parseIpv4(server.ip) ?? 0, server.prefix)
  if (networkOf(address, server.prefix).base === network.base) return
  throw new NetrootError(
    `${name}: its edition ${edition} has the address ${ip}, which is not on the network of ${server.interface} (${formatCidr(network)})`,
    { hint: 'piimage netroot makes an edition with the address of today.' },
  )
}

function earlierOf(
  state: string,
  node: string,
  place: ServerRoot,
): { node: string; from: string; to: EditionRecord } | undefined {
  const editions = listEditions(state, node, place)
  const from = currentEdition(state, node, place)
  const to = editions[editions.findIndex(({ edition }) => edition === from) - 1]
  return from === undefined || to === undefined ? undefined : { node, from, to }
}

/** The node as it is served with that edition. */
function withRecord(
  node: ServedNode,
  record: EditionRecord | undefined,
  state: string,
  place: ServerRoot,
): ServedNode {
  if (record === undefined) return node
  const { generation, edition, bootFolder, rootFolder, rootMode, overlay, stateFolder, ip = node.ip } = record
  return withExports(
    { ...node, ip, generation, edition, bootFolder, rootFolder, rootMode, overlay, stateFolder },
    listEditions(state, node.name, place),
  )
}
