/**
 * What overlays can ask about the node, its cluster and its image: the paths of
 * placeholders and of `when:`. One table; the documentation is made from it.
 *
 * There is no path for the name of the system: what an overlay may depend on
 * is a trait (does the image have cloud-init? which kernel generation?), so
 * that a new release needs no new overlay.
 */
import type { LockedImage } from '../catalog/locked-image.ts'
import { findHead, fixedIpOf, lanOf } from '../cluster/head.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import type { DetectedOs } from '../node/system.ts'

export interface Subject {
  node: Node
  cluster: Cluster
  os: DetectedOs
  image: Pick<LockedImage, 'key' | 'version' | 'arch'>
}

export interface ValueRow {
  path: string
  meaning: string
  /** Holds lists, mappings or secrets that only `system:` understands. */
  systemOnly?: true
  of: (subject: Subject) => unknown
}

const headAddress = ({ cluster }: Subject) => fixedIpOf(findHead(cluster))

const first = (subject: Subject) => subject.node.interfaces[0]

export const valueRows: readonly ValueRow[] = [
  { path: 'node.name', meaning: 'host name', of: (s) => s.node.name },
  { path: 'node.model', meaning: 'Raspberry Pi model, as in the cluster file', of: (s) => s.node.model },
  { path: 'node.role', meaning: '`head` or `worker`', of: (s) => s.node.role },
  { path: 'node.boot', meaning: '`card` or `net`', of: (s) => s.node.boot },
  { path: 'node.groups', meaning: 'list of its groups', of: (s) => s.node.groups },
  { path: 'node.interface', meaning: 'name of its first network interface', of: (s) => first(s)?.name },
  {
    path: 'node.ip',
    meaning: 'address of the first interface, without prefix',
    of: (s) => first(s)?.address?.ip,
  },
  { path: 'node.prefix', meaning: 'prefix length of that address', of: (s) => first(s)?.address?.prefix },
  { path: 'node.gateway', meaning: 'its gateway', of: (s) => first(s)?.address?.gateway },
  { path: 'node.username', meaning: "the user's name", of: (s) => s.node.user?.name },
  {
    path: 'node.user',
    meaning: 'the user, with password hash and keys',
    systemOnly: true,
    of: (s) => s.node.user,
  },
  {
    path: 'node.uplink',
    meaning: "the router's interface to the outside",
    of: (s) => s.node.router?.uplink,
  },
  { path: 'node.lan', meaning: "the router's interface to the cluster", of: (s) => s.node.router?.lan },
  {
    path: 'node.lanCidr',
    meaning: 'the network behind it, as 10.3.50.0/24',
    of: (s) => (s.node.router === undefined ? undefined : lanOf(s.node).cidr),
  },
  { path: 'node.interfaces', meaning: 'all interfaces', systemOnly: true, of: (s) => s.node.interfaces },
  { path: 'node.wifi', meaning: 'Wi-Fi name, key and country', systemOnly: true, of: (s) => s.node.wifi },
  { path: 'node.locale', meaning: 'time zone, keyboard, locale', systemOnly: true, of: (s) => s.node.locale },
  {
    path: 'node.labels',
    meaning: 'list of its labels, as key=value',
    of: (s) => Object.entries(s.node.labels).map(([key, value]) => `${key}=${value}`),
  },
  { path: 'cluster.name', meaning: "the cluster's name", of: (s) => s.cluster.name },
  { path: 'cluster.head', meaning: 'name of the head node', of: (s) => s.cluster.join.head },
  { path: 'cluster.headIp', meaning: "the head's address", of: (s) => headAddress(s) },
  {
    path: 'cluster.joinBy',
    meaning: '`pull`: nodes join by themselves; `ssh-push`: `piimage join` does it',
    of: (s) => s.cluster.join.by,
  },
  {
    path: 'cluster.cidr',
    meaning: "the cluster's network, as 192.168.2.0/24",
    of: (s) => s.cluster.network?.cidr,
  },
  { path: 'cluster.gateway', meaning: 'its gateway', of: (s) => s.cluster.network?.gateway },
  { path: 'cluster.domain', meaning: 'its DNS domain', of: (s) => s.cluster.network?.domain },
  { path: 'os.cloudInit', meaning: 'whether the image runs cloud-init', of: (s) => s.os.traits.cloudInit },
  {
    path: 'os.kernel',
    meaning: 'oldest kernel generation of the release: 4, 5 or 6',
    of: (s) => s.os.traits.kernel,
  },
  { path: 'os.arch', meaning: 'of the image: `armhf` or `arm64`', of: (s) => s.image.arch },
  { path: 'os.bootMount', meaning: 'where the node mounts its boot partition', of: (s) => s.os.bootMount },
]

/** What the value is for: text and data anywhere, facts in `system:`, or a comparison in `when:`. */
export type LookupUse = 'text' | 'system' | 'condition'

/**
 * @param overlay its name, for messages
 * @returns a lookup of node, cluster and os values, and of `param.<name>`; what
 *   the node does not have is null in a condition, and a mistake elsewhere
 */
export function lookupIn(
  subject: Subject,
  overlay: string,
  parameters: Readonly<Record<string, unknown>>,
  use: LookupUse,
): (path: string) => unknown {
  const rows = valueRows.filter((row) => use === 'system' || !row.systemOnly)
  return (path) => {
    if (path.startsWith('param.')) {
      const name = path.slice('param.'.length)
      if (Object.hasOwn(parameters, name)) return parameters[name]
      // param.sha256.arm64: inside a parameter that is a mapping.
      const dot = name.indexOf('.')
      const [outer, key] = [name.slice(0, dot), name.slice(dot + 1)]
      if (dot > 0 && Object.hasOwn(parameters, outer)) {
        const map = new Map(Object.entries((parameters[outer] ?? {}) as object))
        if (map.has(key)) return map.get(key)
        if (use === 'condition') return null
        throw new UsageError(`overlay ${overlay} needs ${key} under its parameter ${outer}`, {
          hint: `Write ${overlay}: { ${outer}: { ${key}: … } } in the cluster file.`,
        })
      }
      throw new UsageError(`overlay ${overlay} uses ${path}, but declares no parameter ${name}`, {
        hint: `Declare it under parameters: in ${overlay}/overlay.yaml.`,
      })
    }
    const row = rows.find((candidate) => candidate.path === path)
    if (row === undefined) {
      throw new UsageError(`overlay ${overlay} uses ${path}, which does not exist here`, {
        hint: `There are ${rows.map((candidate) => candidate.path).join(', ')} and param.<name>.`,
      })
    }
    const value = row.of(subject)
    if (value !== undefined) return value
    if (use === 'condition') return null
    throw new UsageError(
      `overlay ${overlay} needs ${path} (${row.meaning}), which node ${subject.node.name} does not have`,
      { hint: 'Give it in the cluster file, or take the overlay out.' },
    )
  }
}
