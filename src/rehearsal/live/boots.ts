/**
 * Boots, as a server's events tell them: one for each board that was heard,
 * begun anew by each DISCOVER. Those that were only played are left out.
 */
import { basename } from 'node:path'
import type { ServedNode } from '../../netroot/served.ts'
import { readMachineId, readRepeatedSerial } from '../dhcp/machine-id.ts'
import type { LogEvent } from './dnsmasq-log.ts'

export interface Boot {
  mac: string
  /** Offered or used; undefined: none was offered. */
  ip?: string
  /** As the log says it, of the last event. */
  time?: string
  /** Names of the files it got, in order. */
  sent: string[]
  /** What it asked for and did not get, in order. */
  missing: string[]
  /** Revision code of the board, where it said so. */
  revision?: number
  /** 8 hex digits, by option 97 or by the folder it asked for. */
  serial?: string
}

/** Below a folder named like a serial number, the files that boot loaders look for first. */
const SERIAL_FOLDER = /\/([0-9a-f]{8})\/+(?:start4?\.elf|config\.txt)$/

export function foldBoots(events: readonly LogEvent[], nodes: readonly ServedNode[]): Map<string, Boot> {
  const boots = new Map<string, Boot>()
  // Addresses that are being played; their transfers mean nothing.
  const played = new Set<string>()
  const playedMacs = new Set<string>()
  const ipOf = new Map(nodes.map(({ mac, ip }) => [mac, ip]))
  const macOf = new Map(nodes.map(({ mac, ip }) => [ip, mac]))
  // Whoever makes up addresses makes up thousands: nothing here looks through all of them.
  const byIp = new Map<string, Boot>()
  const bootAt = (ip: string): Boot | undefined => {
    const boot = byIp.get(ip)
    return boot?.ip === ip ? boot : undefined
  }
  const addBoot = (boot: Boot): void => {
    boots.delete(boot.mac)
    boots.set(boot.mac, boot)
    if (boot.ip !== undefined) byIp.set(boot.ip, boot)
  }
  let last: Boot | undefined
  for (const event of events) {
    if (event.kind === 'discover') {
      const ip = ipOf.get(event.mac) ?? boots.get(event.mac)?.ip
      last = undefined
      if (event.rehearsed) {
        playedMacs.add(event.mac)
        if (ip !== undefined) played.add(ip)
        continue
      }
      playedMacs.delete(event.mac)
      if (ip !== undefined) played.delete(ip)
      const known = boots.get(event.mac)
      // A ROM repeats itself until it is answered; what it is stays known.
      const identity = { revision: known?.revision, serial: known?.serial }
      last = { mac: event.mac, ip, sent: [], missing: [], ...identity }
      addBoot(last)
    } else if (event.kind === 'offer') {
      if (playedMacs.has(event.mac)) played.add(event.ip)
      const boot = boots.get(event.mac)
      if (boot !== undefined && !playedMacs.has(event.mac)) {
        boot.ip = event.ip
        byIp.set(event.ip, boot)
      }
    } else if (event.kind === 'machine-id') {
      if (last !== undefined) identify(last, event.bytes)
    } else if (event.ip === undefined || !played.has(event.ip)) {
      const boot = event.ip === undefined ? last : (bootAt(event.ip) ?? start(event.ip))
      if (boot === undefined) continue
      last = boot
      boot.serial ??= SERIAL_FOLDER.exec(event.path)?.[1]
      ;(event.kind === 'sent' ? boot.sent : boot.missing).push(basename(event.path))
    }
    const time = event.time
    if (last !== undefined && time !== undefined) last.time = time
  }
  return boots

  /** A transfer to somebody whose address another server gave. */
  function start(ip: string): Boot | undefined {
    const mac = macOf.get(ip)
    if (mac === undefined) return undefined
    const boot: Boot = { mac, ip, sent: [], missing: [] }
    addBoot(boot)
    return boot
  }
}

/** Takes over what option 97 says. */
export function identify(boot: Boot, machineId: Uint8Array): void {
  const board = readMachineId(machineId)
  const serial = board?.serial ?? readRepeatedSerial(machineId)
  if (board !== undefined) boot.revision = board.revision
  if (serial !== undefined) boot.serial = serial
}
