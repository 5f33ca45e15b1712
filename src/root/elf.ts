/** The machine a program is for, from the first bytes of an ELF file. Source: System V ABI, "ELF Header"; elf.h. */

export type Machine = 'arm' | 'arm64' | `${number}`

const machines: Record<number, Machine> = { 40: 'arm', 183: 'arm64' }

/** @returns undefined: no ELF file */
export function readElfMachine(bytes: Uint8Array): Machine | undefined {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (header.length < 20 || header.readUInt32BE(0) !== 0x7f454c46) return undefined
  const number = header[5] === 2 ? header.readUInt16BE(18) : header.readUInt16LE(18)
  return machines[number] ?? `${number}`
}
