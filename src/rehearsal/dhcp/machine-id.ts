/**
 * DHCP option 97: who a board says it is. Sixteen bytes after a type byte of 0.
 *
 * The Pi 3B's ROM sends sixteen times 0x44, the 3B+ its serial number. EEPROM
 * boot loaders send `RPi4` or `RPi5`, the revision code and the serial number
 * with the lowest byte first, and between them the last four bytes of the MAC
 * address.
 *
 * Source: Raspberry Pi documentation, "DHCP_OPTION97"; the byte order by a Pi 4
 * whose option 97 and TFTP requests stand in one published log.
 */
import type { MachineId } from '../../cluster/boards.ts'
import { formatMac, parseMac } from './packet.ts'

export interface BoardIdentity {
  /** Revision code. */
  revision: number
  /** The last four bytes of the MAC address, with colons. */
  macEnd: string
  /** The low 32 bits, 8 lower-case hex digits; undefined where a log cut the option off. */
  serial?: string
}

const hex8 = (value: number): string => value.toString(16).padStart(8, '0')

export function formatMachineId(kind: MachineId, revision: number, mac: string, serial: string): Uint8Array {
  const serialBytes = Buffer.alloc(4)
  serialBytes.writeUInt32LE(Number.parseInt(serial, 16))
  if (kind === 'constant') return Buffer.concat([Buffer.of(0), Buffer.alloc(16, 0x44)])
  if (kind === 'serial') return Buffer.concat([Buffer.of(0), ...Array(4).fill(serialBytes)])
  const revisionBytes = Buffer.alloc(4)
  revisionBytes.writeUInt32LE(revision)
  return Buffer.concat([
    Buffer.of(0),
    Buffer.from(kind),
    revisionBytes,
    parseMac(mac).subarray(2),
    serialBytes,
  ])
}

/**
 * What an EEPROM boot loader said.
 * @param bytes the option, or at least its first 13 bytes
 * @returns undefined for other boards, whose option names no model
 */
export function readMachineId(bytes: Uint8Array): BoardIdentity | undefined {
  const option = Buffer.from(bytes)
  if (option.length < 13 || !/^RPi[45]$/.test(option.toString('latin1', 1, 5))) return undefined
  return {
    revision: option.readUInt32LE(5),
    macEnd: formatMac(option.subarray(9, 13)),
    serial: option.length >= 17 ? hex8(option.readUInt32LE(13)) : undefined,
  }
}

/** The serial number in the option of a 3B+: four times the same, of which a log shows three; undefined: something else. */
export function readRepeatedSerial(bytes: Uint8Array): string | undefined {
  const option = Buffer.from(bytes)
  if (option.length < 13) return undefined
  const words = [1, 5, 9].map((offset) => option.readUInt32LE(offset))
  const first = words[0] as number
  return words.every((word) => word === first) && first !== 0x44444444 ? hex8(first) : undefined
}
