/**
 * exports(5): which folder which node may mount, line by line, and the NFS
 * server's own settings.
 *
 * NFS with `sec=sys` believes every address, so a line names one; only what
 * nobody may write is shared with a whole network, and nothing with everybody.
 * `no_root_squash`: a root file system without root is none.
 *
 * A client that may mount one folder reaches every file of the file system that
 * it lies on, by handles that it makes up; `subtree_check` does not help with an
 * overlay. So only whole file systems are exported that hold nothing else, and
 * `mp`: while one isn't mounted, the folder under it is not exported.
 *
 * Sources: exports(5), nfs.conf(5).
 */
import { dirname } from 'node:path'
import { type Cidr, formatCidr, networkOf, parseIpv4 } from '../cluster/ipv4.ts'
import { NetrootError } from '../errors.ts'
import type { Export, ServedCluster } from '../netroot/served.ts'
import { USB } from '../netroot/wire.ts'
import type { Machine } from './machine.ts'
import { imagesOf, mountPointsOf, overlaysOf } from './mounts.ts'
import { fileText } from './server-file.ts'
import { exportsPath } from './written-value.ts'

/** ClusterCTRL's private network for Zeros that boot over USB, and the controller's address there. */
export const USB_NETWORK = networkOf(parseIpv4(`${USB.network}.0`) ?? 0, USB.prefix)
const USB_CONTROLLER = `${USB.network}.${USB.controller}`

/** The port that IANA has for mountd; fixed, so that a firewall can name it. */
export const MOUNTD_PORT = 20048

const LEAST_THREADS = 8
const MOST_THREADS = 64

/**
 * @throws {NetrootError} one fsid for two folders, or two for one
 * @throws {Error} an export that would let in more than a node
 */
export function formatExports(served: ServedCluster): string {
  checkIsolated(served)
  const lines = served.nodes.flatMap((node) => [
    '',
    `# ${node.name}`,
    ...node.exports.map((one) => formatExport(one, served)),
  ])
  checkFsids(served.nodes.flatMap(({ exports }) => exports))
  return fileText(withoutRepeats(lines))
}

/** What is shared is named by every node that mounts it, and stands once. */
function withoutRepeats(lines: readonly string[]): string[] {
  const seen = new Set<string>()
  return lines.filter((line) => {
    if (!line.startsWith('/')) return true
    if (seen.has(line)) return false
    seen.add(line)
    return true
  })
}

/**
 * That no node reaches anything but what is its own, and bases that nobody writes.
 * @throws {NetrootError} something to export is no file system of its own, or two nodes may write to the same
 */
function checkIsolated(served: ServedCluster): void {
  const points = new Set(mountPointsOf(served))
  const writable = new Map(imagesOf(served).map((image) => [image.folder, image.writable]))
  const imageOf = (path: string) => {
    let folder = dirname(path)
    while (folder !== '/' && !writable.has(folder)) folder = dirname(folder)
    return folder
  }
  const writers = new Map<string, string>()
  for (const node of served.nodes) {
    if (node.exports.length === 0) throw notIsolated(node.name, node.rootFolder)
    for (const one of node.exports) if (!points.has(one.folder)) throw notIsolated(node.name, one.folder)
    for (const { lower, upper, merged } of [...overlaysOf({ ...served, nodes: [node] })])
      if (writable.get(lower) !== false || writable.get(imageOf(upper)) !== true)
        throw notIsolated(node.name, merged)
    for (const { folder, writable: isWritable } of node.images ?? []) {
      const other = writers.get(folder) ?? node.name
      if (isWritable && other !== node.name) throw notIsolated(node.name, `${folder} of ${other}`)
      writers.set(folder, node.name)
    }
  }
}

const notIsolated = (node: string, folder: string): NetrootError =>
  new NetrootError(
    `${node} would get ${folder}, which is not a file system of its own: an NFS client reaches all of the one it lies on`,
    { hint: 'An earlier piimage laid it out so: piimage netroot, without --node, lays it out anew.' },
  )

function formatExport(one: Export, { server }: ServedCluster): string {
  const own = formatCidr(networkOf(parseIpv4(server.ip) ?? 0, server.prefix))
  const isAddress = parseIpv4(one.client) !== undefined
  if (!isAddress && (one.writable || one.client !== own))
    throw new Error(`${one.folder} would be open to ${one.client}`)
  if (!/^([1-9]\d{0,9}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.test(one.fsid))
    throw new Error(`fsid=${one.fsid} of ${one.folder} is neither a number above 0 nor a UUID`)
  const options = [
    one.writable ? 'rw' : 'ro',
    'sync',
    'no_subtree_check',
    'no_root_squash',
    'secure',
    'sec=sys',
    'mp',
    `fsid=${one.fsid}`,
  ]
  return `${exportsPath(one.folder)} ${one.client}(${options.join(',')})`
}

function checkFsids(exports: readonly Export[]): void {
  const folders = new Map<string, string>()
  const fsids = new Map<string, string>()
  for (const { folder, fsid } of exports) {
    const other = folders.get(fsid) ?? folder
    if (other !== folder || (fsids.get(folder) ?? fsid) !== fsid)
      throw new NetrootError(`fsid=${fsid} of ${folder} does not belong to it alone (${other})`, {
        hint: 'Handles of open files would lead from one folder into the other: report this as a bug.',
      })
    folders.set(fsid, folder)
    fsids.set(folder, fsid)
  }
}

const ownNetwork = ({ server }: ServedCluster): Cidr => networkOf(parseIpv4(server.ip) ?? 0, server.prefix)

const isOn = (network: Cidr, client: string): boolean => {
  const address = parseIpv4(client)
  return address !== undefined && networkOf(address, network.prefix).base === network.base
}

/**
 * Without exports of earlier editions whose addresses the server is no longer on,
 * because the whole network moved: what still runs there has lost its server.
 */
export function withinReach(served: ServedCluster): ServedCluster {
  const own = ownNetwork(served)
  return {
    ...served,
    nodes: served.nodes.map((node) => ({
      ...node,
      exports: node.exports.filter(
        ({ client }) =>
          client === node.ip || client === formatCidr(own) || isOn(own, client) || isOn(USB_NETWORK, client),
      ),
    })),
  }
}

/** The addresses on which nodes reach the NFS server. */
export function nfsAddresses(served: ServedCluster): string[] {
  const { server, nodes } = withinReach(served)
  const own = ownNetwork(served)
  const clients = nodes.flatMap(({ exports }) => exports.map(({ client }) => client))
  const others = clients.filter((client) => !isOn(own, client) && client !== formatCidr(own))
  const stranger = others.find((client) => !isOn(USB_NETWORK, client))
  if (stranger !== undefined)
    throw new NetrootError(`${stranger} is not on the network of ${server.interface} (${formatCidr(own)})`, {
      hint: 'Give the node an address on that network, or serve from another interface.',
    })
  return others.length === 0 ? [server.ip] : [server.ip, USB_CONTROLLER]
}

/**
 * nfs.conf: where the NFS server listens. mountd and rpcbind can't be told; a
 * firewall can (./firewall.ts), and the exports name addresses anyway.
 */
export function formatNfsConf(served: ServedCluster, { exports }: Machine): string {
  const threads = Math.min(MOST_THREADS, Math.max(LEAST_THREADS, served.nodes.length))
  const addresses = nfsAddresses(served)
  return fileText([
    '[nfsd]',
    ...(exports.length === 0
      ? [
          '# Only towards the cluster, and without the folders above the exports that version 4 shows.',
          `host=${addresses.join(',')}`,
          'vers4=n',
        ]
      : [`# On every address, because of ${exports.join(', ')}.`]),
    `threads=${threads}`,
    '[mountd]',
    `port=${MOUNTD_PORT}`,
  ])
}
