/**
 * One node's boot from the first DHCP packet to its init, in the order in which
 * it happens, with a fault for everything that would stop or spoil it.
 *
 * A fault ends only what can't go on without it: the rest is looked at as well,
 * so that one run tells all there is to mend.
 */
import { randomInt } from 'node:crypto'
import { boards } from '../cluster/boards.ts'
import type { Model } from '../cluster/node.ts'
import type { ServedCluster, ServedNode } from '../netroot/served.ts'
import { openBootFolder, tftpFolderOf } from './boot-folder.ts'
import type { BootSource } from './boot-source.ts'
import { discoverOf } from './dhcp/discover.ts'
import { askForOffers } from './dhcp/exchange.ts'
import { judgeOffers } from './dhcp/judge-offers.ts'
import { type Fault, Findings, type Note } from './fault.ts'
import { loadSystem } from './firmware/load-system.ts'
import { loadFirmware } from './firmware/loaders.ts'
import { openRequests, SilentServer } from './firmware/requests.ts'
import { judgeExports } from './nfs/judge-export.ts'
import { judgeIdentity } from './system/identity.ts'
import { type JudgedCmdline, judgeCmdline } from './system/judge-cmdline.ts'
import { judgeKernel } from './system/judge-kernel.ts'
import { judgeRoot } from './system/judge-root.ts'
import type { KernelImage } from './system/kernel-image.ts'
import { filesUnder, openNodeRoot, type ServerFiles } from './system/root-tree.ts'
import { fetchByTftp } from './tftp/client.ts'

export interface Rehearsed {
  node: string
  model: Model
  /** TFTP requests, or reads of files where no server was asked. */
  requests: number
  bytes: number
  faults: Fault[]
  notes: Note[]
}

/** The node's own place on the wire; without it, only files are looked at. */
export interface NetworkLink {
  /** The MAC address it sends from. */
  mac: string
  /** Take the node's address, once DHCP has been asked. */
  takeAddress(): Promise<void>
}

/** Blocks as the model's boot loader asks for them. */
const blockBytesOf = (model: Model): number => (boards[model].loader === 'direct' ? 1468 : 1024)

/** @param disk of the server, where its files don't lie at their places */
export async function rehearseNode(
  served: ServedCluster,
  node: ServedNode,
  wire: NetworkLink | undefined,
  disk = filesUnder(''),
): Promise<Rehearsed> {
  const findings = new Findings()
  const serial = serialOf(node)
  if (
    boards[node.model].asksBySerial &&
    node.serial === undefined &&
    tftpFolderOf(served, node) === served.tftpRoot
  )
    if (boards[node.model].netboot !== 'usb')
      findings.fault(
        'server',
        `node ${node.name}`,
        'its serial number is not known, so no boot files are linked for it',
        `Switch it on, read it off piimage netroot status, then: piimage netroot adopt SERIAL ${node.name}.`,
      )
  let offered: string | undefined
  if (wire !== undefined && node.mac === undefined && served.network.dhcp !== 'proxy')
    findings.fault(
      'dhcp',
      `node ${node.name}`,
      'its MAC address is not known, so no address is reserved for it',
      `Switch it on, read it off piimage netroot status, then: piimage netroot adopt SERIAL ${node.name}.`,
    )
  else if (wire !== undefined) {
    const discover = discoverOf(node.model, wire.mac, serial, randomInt(1, 2 ** 32 - 1))
    offered = judgeOffers(served, node, await askForOffers(discover), findings).offered
  }
  await wire?.takeAddress()
  const files = await rehearseFiles(served, node, serial, wire === undefined ? disk : undefined, findings)
  if (files.cmdline?.asksDhcp && offered !== undefined && offered !== node.ip)
    findings.fault(
      'dhcp',
      'DHCP address',
      `the network’s DHCP server offers ${offered}, and the exports are for ${node.ip}`,
      `Reserve ${node.ip} for ${node.mac} in that server.`,
    )
  if (wire !== undefined) await judgeExports(served, node, files.cmdline?.nfsVersion, findings)
  await judgeRoot(node, disk, files.kernel, files.cmdline?.init, findings)
  await judgeIdentity(node, disk, findings)
  return {
    node: node.name,
    model: node.model,
    requests: files.requests,
    bytes: files.bytes,
    faults: inOrder(findings.faults),
    notes: findings.notes,
  }
}

interface Fetched {
  requests: number
  bytes: number
  kernel: KernelImage
  cmdline?: JudgedCmdline
}

async function rehearseFiles(
  served: ServedCluster,
  node: ServedNode,
  serial: string,
  /** undefined: from the server, by TFTP. */
  disk: ServerFiles | undefined,
  findings: Findings,
): Promise<Fetched> {
  const board = boards[node.model]
  const source =
    disk === undefined ? openTftp(served, node) : openBootFolder(disk.here(ownFolder(served, node)))
  const layOut = `Lay the trees out again: piimage netroot --node ${node.name}.`
  const requests = openRequests(source, findings, board.loader === 'start4', layOut)
  const fetched = (rest: Omit<Fetched, 'requests' | 'bytes'>) => ({
    requests: requests.count,
    bytes: requests.bytes,
    ...rest,
  })
  try {
    const loading = { board, serial, requests, findings }
    const settings = await loadFirmware(loading)
    if (settings === undefined) return fetched({ kernel: {} })
    const system = await loadSystem(loading, settings, node.model)
    const root = await openNodeRoot(node, disk ?? filesUnder(''))
    const kernel = await judgeKernel(system, {
      ...{ model: node.model, root, findings, again: 'Lay the trees out again: piimage netroot.' },
      placeOf: requests.placeOf,
      modules: ['nfs', 'nfsv3'],
    })
    if (system.cmdline === undefined) return fetched({ kernel })
    const text = Buffer.from(system.cmdline.bytes).toString('latin1')
    const place = requests.placeOf(system.cmdline.name)
    const cmdline = judgeCmdline(text, kernel.mounter === 'klibc', { served, node, place, findings })
    return fetched({ kernel, cmdline })
  } catch (error) {
    if (!(error instanceof SilentServer)) throw error
    findings.fault(
      'tftp',
      `TFTP server ${served.server.ip}`,
      `no answer to the request for ${error.message}`,
      `Is dnsmasq running with enable-tftp, and does the firewall let UDP 69 and the transfers in on ${served.server.interface}?`,
    )
    return fetched({ kernel: {} })
  }
}

/** A Zero on a ClusterHAT is given its boot folder itself, over USB. */
const ownFolder = (served: ServedCluster, node: ServedNode): string =>
  boards[node.model].netboot === 'usb' ? node.bootFolder : tftpFolderOf(served, node)

function openTftp(served: ServedCluster, node: ServedNode): BootSource {
  const server = { address: served.server.ip, port: 69, blockBytes: blockBytesOf(node.model) }
  return {
    ask: (path, how) => fetchByTftp(server, path, how),
    placeOf: openBootFolder(tftpFolderOf(served, node)).placeOf,
  }
}

/** Where it isn't known, one that no board has: boards with a TFTP root of their own give it up at once. */
const serialOf = (node: ServedNode): string => node.serial?.slice(-8) ?? 'ffffffff'

const steps = ['server', 'dhcp', 'tftp', 'firmware', 'kernel', 'cmdline', 'nfs', 'root', 'identity']

const inOrder = (faults: readonly Fault[]): Fault[] =>
  faults.toSorted((a, b) => steps.indexOf(a.step) - steps.indexOf(b.step))
