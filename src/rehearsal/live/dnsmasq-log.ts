/**
 * What dnsmasq wrote, with `log-dhcp` on, as events.
 *
 * A trap: "sent" is also said of a transfer that was given up after its size was
 * known, as EEPROM boot loaders do before each file. Those stand right after
 * "Early terminate" and are left out.
 *
 * Source: dnsmasq 2.90, src/rfc2131.c (log_packet, log_options) and src/tftp.c.
 */
import { REHEARSAL } from '../dhcp/discover.ts'

export type LogEvent = { time?: string } & (
  | { kind: 'discover'; mac: string; rehearsed: boolean }
  /** Offered, or taken. */
  | { kind: 'offer'; mac: string; ip: string }
  /** The first bytes of option 97, of the board that asked last. */
  | { kind: 'machine-id'; bytes: Uint8Array }
  | { kind: 'sent'; ip: string; path: string }
  /** Older dnsmasq doesn't say for whom. */
  | { kind: 'missing'; ip?: string; path: string }
  | { kind: 'refused'; ip?: string; path: string }
)

const LINE = /^(?:(\w{3} [ \d]\d \d\d:\d\d:\d\d) )?(?:\S+ )?dnsmasq(?:-\w+)?\[\d+\]: (.*)$/
const DHCP = /^\d+ DHCP(DISCOVER|OFFER|ACK)\(\S+\) (?:(\d+\.\d+\.\d+\.\d+) )?([0-9a-f]{2}(?::[0-9a-f]{2}){5})/
const MACHINE_ID = /^\d+ sent size: *\d+ option: *97 \S+ +([0-9a-f:]+)/
const EARLY = /^error 0 Early terminate received from (\S+)$/
const SENT = /^sent (.+) to (\d+\.\d+\.\d+\.\d+)$/
const MISSING = /^file (.+?) not found(?: for (\d+\.\d+\.\d+\.\d+))?$/
const REFUSED = /^cannot (?:access|read) (.+): .*$/

export function parseDnsmasqLog(text: string): LogEvent[] {
  const events: LogEvent[] = []
  let rehearsed = false
  let early: string | undefined
  for (const line of text.split('\n')) {
    const [, time, said] = LINE.exec(line) ?? []
    if (said === undefined) continue
    const gaveUp: string | undefined = EARLY.exec(said)?.[1]
    const sent = SENT.exec(said)
    if (sent !== null && sent[2] !== early)
      events.push({ time, kind: 'sent', path: sent[1] as string, ip: sent[2] as string })
    early = gaveUp
    if (sent !== null || gaveUp !== undefined) continue
    if (said.endsWith(` user class: ${REHEARSAL}`)) rehearsed = true
    const dhcp = DHCP.exec(said)
    if (dhcp !== null) {
      const [, type, ip, mac = ''] = dhcp
      if (type === 'DISCOVER') events.push({ time, kind: 'discover', mac, rehearsed })
      else if (ip !== undefined) events.push({ time, kind: 'offer', mac, ip })
      if (type === 'DISCOVER') rehearsed = false
      continue
    }
    const machineId = MACHINE_ID.exec(said)?.[1]
    const missing = MISSING.exec(said)
    const refused = REFUSED.exec(said)
    if (machineId !== undefined)
      events.push({ time, kind: 'machine-id', bytes: Buffer.from(machineId.replaceAll(':', ''), 'hex') })
    else if (missing !== null)
      events.push({ time, kind: 'missing', path: missing[1] as string, ip: missing[2] })
    else if (refused !== null) events.push({ time, kind: 'refused', path: refused[1] as string })
  }
  return events
}
