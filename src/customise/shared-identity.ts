/**
 * A cloud-config that several nodes share must not say who they are: two
 * machines of one name, with one host key, are found by nobody as themselves.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Tree, TreeMap } from '../boot/cloud-init.ts'
import type { Node } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import type { Subject } from './values.ts'

/** Key → whether a value of it belongs to this node alone. */
const identity: Record<string, (value: Tree, node: Node) => boolean> = {
  hostname: (value, { name }) => value === name,
  fqdn: (value, { name }) => typeof value === 'string' && (value === name || value.startsWith(`${name}.`)),
  preserve_hostname: (value) => value !== true,
  ssh_keys: () => false,
  user: (value, { user }) => user === undefined || nameOf(value) === undefined || nameOf(value) === user.name,
}

function nameOf(user: Tree): string | undefined {
  if (typeof user === 'string') return user
  const name = typeof user === 'object' && user !== null && !Array.isArray(user) ? user.name : undefined
  return typeof name === 'string' ? name : undefined
}

/**
 * @param where what says it: a file's path, or an overlay
 * @param overlay its name
 * @throws {UsageError} it would be the same on another node
 */
export function checkSharedIdentity(
  tree: TreeMap,
  where: string,
  overlay: string,
  { node, cluster }: Pick<Subject, 'node' | 'cluster'>,
): void {
  const key = Object.keys(tree).find(
    (name) => Object.hasOwn(identity, name) && identity[name]?.(tree[name] ?? null, node) === false,
  )
  if (key === undefined) return
  const parametersOf = ({ overlays }: Node) => overlays.find(({ name }) => name === overlay)?.parameters
  const own = parametersOf(node)
  const other = cluster.nodes.find(
    (candidate) => candidate.name !== node.name && isDeepStrictEqual(parametersOf(candidate), own),
  )
  if (other === undefined) return
  throw new UsageError(`${where} says ${key}, and ${node.name} shares it with ${other.name}`, {
    hint: `Take ${key} out: piimage says it for each node. Or give each node a file of its own.`,
  })
}
