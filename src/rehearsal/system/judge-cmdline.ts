/**
 * Judges the kernel command line of a diskless node: does it name this node's
 * root in words that its mounter knows, and has it lost what belongs to a card?
 */
import type { ServedCluster, ServedNode } from '../../netroot/served.ts'
import type { Findings } from '../fault.ts'
import {
  AUTOCONF,
  asksDhcp,
  faultOfKlibcOption,
  type IpParameter,
  parseIpParameter,
  parseNfsRoot,
  versionOf,
} from './nfsroot.ts'

export interface JudgedCmdline {
  /** NFS version of the root mount: 3, 4.1 …; undefined: not said. */
  nfsVersion?: string
  /** Given by `init=`; undefined: the default. */
  init?: string
  /** Whether the node asks DHCP for its address once the kernel is up. */
  asksDhcp: boolean
}

interface Judging {
  served: ServedCluster
  node: ServedNode
  place: string
  findings: Findings
}

const again = 'Lay the trees out again: piimage netroot.'

/** Parameters of a card's first boots that do harm, or nothing good, without a card. */
const leftovers: { pattern: RegExp; why: string }[] = [
  { pattern: /^resize$/, why: 'the system would resize the drive it has not' },
  {
    pattern: /^init=.*(firstboot|init_resize)/,
    why: 'a first boot that looks for the drive the root is on, and stops',
  },
  {
    pattern: /^root=(?!\/dev\/nfs$)/,
    why: 'the root is on a drive that is not there; it must be root=/dev/nfs',
  },
  { pattern: /^rootfstype=(?!nfs)/, why: 'the root is not that kind of file system' },
  { pattern: /^systemd\.run/, why: 'it runs a script once and starts nothing else' },
  { pattern: /^systemd\.unit=kernel-command-line\.target$/, why: 'the system stops at that target' },
  { pattern: /^fsck\.repair=/, why: 'there is no drive to check' },
]

/** @param withKlibc whether klibc's programs read it */
export function judgeCmdline(text: string, withKlibc: boolean, judging: Judging): JudgedCmdline {
  const { place, findings } = judging
  const lines = text.replace(/\n$/, '').split('\n')
  if (lines.length > 1 && lines.slice(1).some((line) => line.trim() !== ''))
    findings.fault(
      'cmdline',
      place,
      `it has ${lines.length} lines, and only the first counts`,
      `Make it one line. ${again}`,
    )
  const line = lines[0] ?? ''
  if (line.includes('\r'))
    findings.fault(
      'cmdline',
      place,
      'a carriage return is in it, which becomes part of the last parameter',
      again,
    )
  const tokens = line.match(/(?:"[^"]*"|[^\s"])+/g) ?? []
  for (const token of tokens)
    for (const { pattern, why } of leftovers)
      if (pattern.test(token))
        findings.fault(
          'cmdline',
          place,
          `${token} is left from a card: ${why}`,
          `Take ${token} out. ${again}`,
        )
  const value = (key: string) =>
    tokens.findLast((token) => token.startsWith(`${key}=`))?.slice(key.length + 1)
  if (value('root') === undefined)
    findings.fault('cmdline', place, 'no root=: the kernel panics', `It needs root=/dev/nfs. ${again}`)
  const ip = judgeIp(value('ip'), judging)
  const nfsVersion = judgeNfsRoot(value('nfsroot'), withKlibc, judging)
  const init = value('init')
  return {
    asksDhcp: ip === undefined || asksDhcp(ip),
    nfsVersion,
    init,
  }
}

function judgeNfsRoot(value: string | undefined, withKlibc: boolean, judging: Judging): string | undefined {
  const { served, node, place, findings } = judging
  const fault = (problem: string, mend: string) => findings.fault('cmdline', place, problem, mend)
  const right = `nfsroot=${served.server.ip}:${node.rootFolder},vers=3,tcp`
  if (value === undefined) {
    fault('no nfsroot=: the kernel does not know where its root is', `It needs ${right}. ${again}`)
    return undefined
  }
  const { server, folder, options } = parseNfsRoot(value, node.ip)
  if (server !== undefined && server !== served.server.ip)
    fault(
      `nfsroot= names the server ${server}; this one is ${served.server.ip}`,
      `It needs ${right}. ${again}`,
    )
  if (folder !== node.rootFolder)
    fault(
      `nfsroot= names ${folder || 'no folder'}; the root of ${node.name} is ${node.rootFolder}`,
      `It needs ${right}. ${again}`,
    )
  if (withKlibc)
    for (const option of options) {
      const why = faultOfKlibcOption(option)
      if (why !== undefined)
        fault(
          `nfsroot= has ${option}, and the initial RAM disk mounts with klibc: ${why}, so it tries for ever`,
          `Use vers=3,tcp, or start without an initial RAM disk (auto_initramfs=0).`,
        )
    }
  return versionOf(options)
}

/** @returns undefined: there is no `ip=` */
function judgeIp(value: string | undefined, judging: Judging): IpParameter | undefined {
  const { served, node, place, findings } = judging
  const fault = (problem: string, mend: string) => findings.fault('cmdline', place, problem, mend)
  if (value === undefined) {
    fault(
      'no ip=: the kernel has no address when it mounts its root',
      `It needs ip=${node.ip}:…:eth0:off, or ip=dhcp. ${again}`,
    )
    return undefined
  }
  const ip = parseIpParameter(value)
  if (!AUTOCONF.includes(ip.autoconf))
    fault(
      `ip=${value}: ${ip.autoconf} is not a way to get an address, and the initial RAM disk gives up`,
      'The seventh field is off or dhcp.',
    )
  if (ip.client !== '' && ip.client !== node.ip)
    fault(`ip= gives it the address ${ip.client}; ${node.name} is ${node.ip}`, again)
  if (ip.client !== '' && ip.device === '')
    fault(
      `ip=${value}: the sixth field, the interface, is empty, so every interface gets ${ip.client}`,
      'Name the interface: eth0.',
    )
  if (ip.client !== '' && ip.netmask === '')
    fault(
      `ip=${value}: the fourth field, the netmask, is empty`,
      `Give it the mask of /${served.server.prefix}.`,
    )
  if (ip.server !== '' && ip.server !== served.server.ip)
    fault(`ip= names the server ${ip.server}; this one is ${served.server.ip}`, again)
  if (ip.hostname !== '' && ip.hostname !== node.name)
    fault(`ip= names the node ${ip.hostname}; it is ${node.name}`, again)
  return ip
}
