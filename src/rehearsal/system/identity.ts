/** What makes a node itself: its names and keys, read from its root, and compared with those of all others. */
import { isReadOnly } from '../../cluster/root-modes.ts'
import type { ServedNode } from '../../netroot/served.ts'
import { type Fault, Findings } from '../fault.ts'
import { openNodeRoot, type ServerFiles } from './root-tree.ts'

interface Identity {
  node: string
  /** File in the root → its value; what no two nodes may share. */
  own: Record<string, string>
}

const again = 'Lay the trees out again: piimage netroot.'

/** Values of a shared root come with the initial RAM disk; nothing is looked at then. */
export async function judgeIdentity(
  node: ServedNode,
  disk: ServerFiles,
  findings: Findings,
): Promise<Identity> {
  const own: Record<string, string> = {}
  if (isReadOnly(node.rootMode)) return { node: node.name, own }
  const root = await openNodeRoot(node, disk)
  const place = (path: string) => root.folder + path
  const read = async (path: string) => (await root.read(path))?.toString('utf8').trim()
  const fault = (path: string, problem: string) => findings.fault('identity', place(path), problem, again)

  const hostname = await read('/etc/hostname')
  if (hostname !== node.name) fault('/etc/hostname', `${hostname ?? 'missing'}; the node is ${node.name}`)
  const machineId = await read('/etc/machine-id')
  if (machineId === undefined || !/^[0-9a-f]{32}$/.test(machineId))
    fault(
      '/etc/machine-id',
      `${machineId || 'missing or empty'}: the node would take every boot for its first`,
    )
  else own['/etc/machine-id'] = machineId
  const files = await root.list('/etc/ssh')
  const keys = files.filter((name) => /^ssh_host_\w+_key\.pub$/.test(name))
  // Without the comment, which may name the node though the key is another's.
  for (const name of keys)
    own[`/etc/ssh/${name}`] = ((await read(`/etc/ssh/${name}`)) ?? '').split(/\s+/).slice(0, 2).join(' ')
  if (keys.length === 0 && files.includes('sshd_config')) fault('/etc/ssh', 'it has no SSH host keys')
  return { node: node.name, own }
}

/** @returns faults by node: every value that two of them share */
export async function findShared(
  nodes: readonly ServedNode[],
  disk: ServerFiles,
): Promise<Map<string, Fault[]>> {
  const identities: Identity[] = []
  for (const node of nodes) identities.push(await judgeIdentity(node, disk, new Findings()))
  const rootOf = (name: string) => nodes.find((node) => node.name === name)?.rootFolder ?? ''
  const faults = new Map<string, Fault[]>()
  const holders = new Map<string, string[]>()
  for (const { node, own } of identities)
    for (const [path, value] of Object.entries(own)) {
      const key = `${path} ${value}`
      holders.set(key, [...(holders.get(key) ?? []), node])
    }
  for (const [key, names] of holders) {
    const path = key.slice(0, key.indexOf(' '))
    for (const node of names.length > 1 ? names : []) {
      const others = names.filter((other) => other !== node)
      const fault: Fault = {
        step: 'identity',
        place: disk.prefix + rootOf(node) + path,
        problem: `the same as that of ${others.join(', ')}`,
        mend: again,
      }
      faults.set(node, [...(faults.get(node) ?? []), fault])
    }
  }
  return faults
}
