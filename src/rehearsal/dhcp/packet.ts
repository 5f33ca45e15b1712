/**
 * DHCP messages: bytes ↔ values. No sockets here.
 *
 * Source: RFC 2131 §2 (the fixed fields), RFC 2132 (options), RFC 3396 (an
 * option in several pieces is one value).
 */

import { formatIpv4 } from '../../cluster/ipv4.ts'
import { FormatError } from '../../errors.ts'

const FIXED_BYTES = 236
const COOKIE = 0x63825363
const PAD = 0
const END = 255

/** Option numbers this room speaks of. */
export const OPTION = {
  subnetMask: 1,
  vendor: 43,
  messageType: 53,
  serverId: 54,
  parameters: 55,
  vendorClass: 60,
  tftpServer: 66,
  userClass: 77,
  clientArchitecture: 93,
  clientInterface: 94,
  machineId: 97,
} as const

export interface DhcpMessage {
  /** 1: from a client, 2: from a server. */
  op: number
  xid: number
  /** Whether the client can't yet take packets sent to its own address. */
  broadcast: boolean
  /** The client's address as offered; 0.0.0.0 from a proxy. */
  yiaddr: string
  /** The next server. */
  siaddr: string
  /** Lower case, with colons. */
  mac: string
  options: Map<number, Uint8Array>
}

/** @throws {FormatError} no DHCP message */
export function readDhcpMessage(bytes: Uint8Array): DhcpMessage {
  const packet = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (packet.length < FIXED_BYTES + 4 || packet.readUInt32BE(FIXED_BYTES) !== COOKIE)
    throw new FormatError(
      `a DHCP packet of ${packet.length} bytes has no magic cookie at byte ${FIXED_BYTES}`,
    )
  const options = new Map<number, Uint8Array>()
  for (let offset = FIXED_BYTES + 4; offset < packet.length; ) {
    const code = packet[offset] as number
    if (code === END) break
    offset += 1
    if (code === PAD) continue
    const length = packet[offset] ?? 0
    const value = packet.subarray(offset + 1, offset + 1 + length)
    if (value.length < length) throw new FormatError(`DHCP option ${code} is cut off at byte ${offset}`)
    options.set(code, Buffer.concat([options.get(code) ?? new Uint8Array(), value]))
    offset += 1 + length
  }
  return {
    op: packet[0] as number,
    xid: packet.readUInt32BE(4),
    broadcast: (packet[10] as number) >= 0x80,
    yiaddr: formatIpv4(packet.readUInt32BE(16)),
    siaddr: formatIpv4(packet.readUInt32BE(20)),
    mac: formatMac(packet.subarray(28, 34)),
    options,
  }
}

/** A client's message; addresses other than its MAC are left at 0.0.0.0. */
export function formatDhcpRequest({
  xid,
  mac,
  broadcast,
  options,
}: Pick<DhcpMessage, 'xid' | 'mac' | 'broadcast' | 'options'>): Uint8Array {
  const fixed = Buffer.alloc(FIXED_BYTES + 4)
  fixed[0] = 1
  // Ethernet, addresses of six bytes.
  fixed[1] = 1
  fixed[2] = 6
  fixed.writeUInt32BE(xid, 4)
  if (broadcast) fixed.writeUInt16BE(0x8000, 10)
  parseMac(mac).copy(fixed, 28)
  fixed.writeUInt32BE(COOKIE, FIXED_BYTES)
  const pieces = [...options].map(([code, value]) => Buffer.concat([Buffer.of(code, value.length), value]))
  const message = Buffer.concat([fixed, ...pieces, Buffer.of(END)])
  // Old servers drop what is shorter than a BOOTP packet.
  return Buffer.concat([message, Buffer.alloc(Math.max(0, 300 - message.length))])
}

export const formatMac = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':')

export const parseMac = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex')

/** An option that is one address; undefined: it isn't there, or is something else. */
export function addressOption({ options }: DhcpMessage, code: number): string | undefined {
  const value = options.get(code)
  return value?.length === 4 ? formatIpv4(Buffer.from(value).readUInt32BE(0)) : undefined
}
