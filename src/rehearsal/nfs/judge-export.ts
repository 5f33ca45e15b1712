/**
 * Asks the running NFS server, from the node's own address, for what the node
 * will ask: mount the root, find init, read what only root may read.
 */

import { isReadOnly } from '../../cluster/root-modes.ts'
import { FormatError } from '../../errors.ts'
import type { ServedCluster, ServedNode } from '../../netroot/served.ts'
import { readElfMachine } from '../../root/elf.ts'
import type { Findings } from '../fault.ts'
import { askPort, listExports, MOUNT, MOUNT_STATUS, mountFolder, NFS } from './mount.ts'
import { ACCESS, type NfsClient, type NfsFile, openNfs } from './nfs3.ts'
import { openRpc, RpcProblem } from './rpc.ts'

const ELF_BYTES = 64
const NFS_PORT = 2049
/** Owned by root and closed to all others, in any Debian. */
const ROOTS_OWN = '/etc/shadow'
const applyAgain = 'Write the servers’ files again: piimage netroot --apply.'

/** @param version of NFS that the kernel command line asks for; undefined: not said */
export async function judgeExports(
  served: ServedCluster,
  node: ServedNode,
  version: string | undefined,
  findings: Findings,
): Promise<void> {
  const { ip } = served.server
  try {
    if (version?.startsWith('4')) return await judgeVersion4(ip, findings)
    const ports = await findPorts(ip, findings)
    if (ports === undefined) return
    const root = await mount(node, ip, ports.mount, node.rootFolder, findings)
    if (root !== undefined) {
      const nfs = await openNfs(ip, ports.nfs)
      try {
        await judgeRootExport(node, nfs, root, findings)
      } finally {
        nfs.close()
      }
    }
    if (node.volumeFolder !== undefined) await mount(node, ip, ports.mount, node.volumeFolder, findings)
  } catch (error) {
    if (!(error instanceof RpcProblem || error instanceof FormatError)) throw error
    findings.fault(
      'nfs',
      `NFS server ${ip}`,
      error.message,
      'Is it running (systemctl status nfs-server rpcbind), and does the firewall let TCP 111, 2049 and mountd’s port in?',
    )
  }
}

/** Version 4 needs neither port mapper nor mount protocol; its exports are asked for when it is mounted. */
async function judgeVersion4(address: string, findings: Findings): Promise<void> {
  const rpc = await openRpc({ address, port: NFS_PORT, program: NFS.program, version: 4 })
  try {
    await rpc.call(0)
    findings.note(`NFS server ${address}`, 'version 4 answers; what it exports was not looked into')
  } finally {
    rpc.close()
  }
}

async function findPorts(
  ip: string,
  findings: Findings,
): Promise<{ mount: number; nfs: number } | undefined> {
  const mount = await askPort(ip, MOUNT)
  const nfs = await askPort(ip, NFS)
  if (mount !== undefined && nfs !== undefined) return { mount, nfs }
  const missing = [mount === undefined ? 'mountd' : '', nfs === undefined ? 'NFS version 3' : ''].filter(
    Boolean,
  )
  findings.fault(
    'nfs',
    `NFS server ${ip}`,
    `${missing.join(' and ')} over TCP: not registered with the port mapper`,
    'Start it: systemctl restart rpcbind nfs-server. Version 3 must not be switched off in /etc/nfs.conf.',
  )
  return undefined
}

async function mount(
  node: ServedNode,
  ip: string,
  port: number,
  folder: string,
  findings: Findings,
): Promise<NfsFile | undefined> {
  const mounted = await mountFolder(ip, port, folder)
  if ('handle' in mounted) return mounted
  const exports = (await listExports(ip, port)) ?? []
  const clients = exports.filter((entry) => entry.folder === folder).flatMap((entry) => entry.clients)
  const listed = exports.some((entry) => entry.folder === folder)
  const to = listed
    ? `the server exports it to ${clients.join(', ') || 'everybody'}`
    : 'the server’s list of exports has it not for this node'
  findings.fault(
    'nfs',
    `export ${folder}`,
    `${node.name} (${node.ip}) can’t mount it: ${MOUNT_STATUS[mounted.status] ?? `status ${mounted.status}`}; ${to}`,
    listed ? `Correct the address in the export. ${applyAgain}` : applyAgain,
  )
  return undefined
}

async function judgeRootExport(
  node: ServedNode,
  nfs: NfsClient,
  root: NfsFile,
  findings: Findings,
): Promise<void> {
  const place = `export ${node.rootFolder}`
  const wanted = ACCESS.read + ACCESS.lookup + ACCESS.modify + ACCESS.extend
  const granted = await nfs.access(root, wanted)
  const mayWrite = Math.floor(granted / ACCESS.modify) % 2 === 1
  const writable =
    node.exports.find(({ folder }) => folder === node.rootFolder)?.writable ?? !isReadOnly(node.rootMode)
  const secret = await nfs.find(root, ROOTS_OWN)
  const squashed = secret !== undefined && (await nfs.access(secret, ACCESS.read)) === 0
  if (squashed)
    findings.fault(
      'nfs',
      place,
      `root of the node may not read ${ROOTS_OWN}: the export squashes root`,
      `It needs no_root_squash. ${applyAgain}`,
    )
  else if (writable && !mayWrite)
    findings.fault(
      'nfs',
      place,
      'it is read-only, and the node writes to its root',
      `It needs rw. ${applyAgain}`,
    )
  else if (!writable && mayWrite)
    findings.fault('nfs', place, 'it may be written to, and all nodes share it', `It needs ro. ${applyAgain}`)
  const init = await nfs.find(root, '/sbin/init')
  const start = init === undefined ? undefined : await nfs.read(init, ELF_BYTES)
  if (start === undefined || readElfMachine(start) === undefined)
    findings.fault(
      'nfs',
      place,
      init === undefined
        ? '/sbin/init is not in what is exported'
        : '/sbin/init can’t be read through it as a program',
      `Is the right folder mounted and exported there? ${applyAgain}`,
    )
}
