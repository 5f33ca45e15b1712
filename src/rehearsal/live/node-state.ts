/** How far each node is, from what its server knows of it; and the boards that nobody knows. */
import { boards, modelOfRevision } from '../../cluster/boards.ts'
import type { Model } from '../../cluster/node.ts'
import type { ServedNode } from '../../netroot/served.ts'
import type { Boot } from './boots.ts'

export type Stage = 'off' | 'DHCP' | 'firmware' | 'kernel' | 'root mounted' | 'up'

export interface NodeState {
  node: string
  stage: Stage
  /** What it waits for, or where it got stuck. */
  detail?: string
}

export interface UnknownBoard {
  mac: string
  model?: Model
  /** 8 hex digits. */
  serial?: string
  ip?: string
}

export interface Seen {
  /** By MAC address. */
  boots: Map<string, Boot>
  /** Addresses with a connection to the NFS server. */
  mounted: Set<string>
  /** Addresses whose ssh port answers. */
  answering: Set<string>
  now: Date
}

/** A boot that said nothing for this long, and is not up, is over. */
const FORGET_MS = 10 * 60 * 1000

export function statesOf(nodes: readonly ServedNode[], seen: Seen): NodeState[] {
  const bootOf = openBoots(seen.boots)
  return nodes.map((node) => {
    const boot = bootOf(node)
    if (seen.answering.has(node.ip)) return { node: node.name, stage: 'up' }
    if (seen.mounted.has(node.ip)) return { node: node.name, stage: 'root mounted' }
    if (boot === undefined || isOver(boot, seen.now)) return { node: node.name, stage: 'off' }
    return { node: node.name, ...stageOf(boot) }
  })
}

export function unknownBoards(nodes: readonly ServedNode[], boots: Map<string, Boot>): UnknownBoard[] {
  const bootOf = openBoots(boots)
  const known = new Set(nodes.flatMap((node) => bootOf(node) ?? []))
  return [...boots.values()]
    .filter((boot) => !known.has(boot))
    .map(({ mac, serial, revision, ip }) => {
      const model = revision === undefined ? undefined : modelOfRevision(revision)
      return { mac, model, serial, ip }
    })
}

/** Of two boards that say the same serial number the one heard first counts. */
function openBoots(boots: Map<string, Boot>): (node: ServedNode) => Boot | undefined {
  const bySerial = new Map([...boots.values()].reverse().map((boot) => [boot.serial, boot]))
  return ({ mac, serial }) =>
    (mac === undefined ? undefined : boots.get(mac)) ??
    (serial === undefined ? undefined : bySerial.get(serial))
}

/** Files of a boot by what they are for: of each, one is needed. */
const kinds: { kind: string; pattern: RegExp }[] = [
  { kind: 'bootcode', pattern: /^bootcode\.bin$/ },
  { kind: 'start', pattern: /^start\w*\.elf$/ },
  { kind: 'fixup', pattern: /^fixup\w*\.dat$/ },
  { kind: 'config', pattern: /^config\.txt$/ },
  { kind: 'tree', pattern: /^bcm2.*\.dtb$/ },
  { kind: 'cmdline', pattern: /^cmdline.*\.txt$/ },
  { kind: 'kernel', pattern: /^(kernel.*\.img|vmlinu.*|Image)$/ },
  { kind: 'initramfs', pattern: /^(initramfs|initrd).*$/ },
]

const kindOf = (name: string): string | undefined => kinds.find(({ pattern }) => pattern.test(name))?.kind

function stageOf({ sent, missing, ip }: Boot): { stage: Stage; detail?: string } {
  const got = new Set(sent.map(kindOf))
  if (got.has('kernel')) return { stage: 'kernel', detail: 'its root is not mounted yet' }
  const lacking = missing.findLast((name) => kindOf(name) !== undefined && !got.has(kindOf(name)))
  if (lacking !== undefined) {
    const after = sent.at(-1)
    return {
      stage: 'firmware',
      detail: `stuck ${after === undefined ? 'at its first file' : `after ${after}`}: ${lacking} not found`,
    }
  }
  if (sent.length > 0) return { stage: 'firmware', detail: `last got ${sent.at(-1)}` }
  if (missing.length > 0) return { stage: 'firmware' }
  return { stage: 'DHCP', detail: ip === undefined ? 'no address for it' : `offered ${ip}` }
}

/** dnsmasq's log says no year: one in the future was the last. */
function isOver({ time }: Boot, now: Date): boolean {
  if (time === undefined) return false
  const said = new Date(`${time} ${now.getFullYear()}`)
  if (said.getTime() > now.getTime() + FORGET_MS) said.setFullYear(now.getFullYear() - 1)
  return now.getTime() - said.getTime() > FORGET_MS
}

/** `Raspberry Pi 4 Model B, serial 5b154510, dc:a6:32:2e:f8:ed` */
export const describeBoard = ({ mac, model, serial }: UnknownBoard): string =>
  [
    model === undefined ? 'unknown board' : boards[model].title,
    serial === undefined ? 'serial not said' : `serial ${serial}`,
    mac,
  ].join(', ')
