/**
 * What a file is, told from its first bytes and never from its name.
 *
 * Five answers: the four compressed formats, and a raw disk image, which must
 * show a partition table. Anything else is refused here, with the name of what
 * it looks like, because an error page saved as `image.img` is the commonest
 * wrong file.
 *
 * Not here: whether the rest of the file is whole; each format's module says so.
 * Sources: xz file format 1.2.0 §2.1.1.1; RFC 1952 §2.3.1; RFC 8878 §3.1.1;
 * PKWARE APPNOTE 4.3; UEFI specification §5.2.1 (MBR) and §5.3.2 (GPT).
 */
import { FormatError } from '../errors.ts'
import { SECTOR_BYTES } from '../units.ts'

export type PackFormat = 'xz' | 'gz' | 'zst' | 'zip' | 'img'

/** As many first bytes as `sniff` looks at: enough for a GPT header with 4 KiB sectors. */
export const SNIFF_BYTES = 8192

const IMAGE_HINT =
  'An image must be a whole-disk image (.img), plain or compressed with xz, gzip, zstd or zip.'

/**
 * @param start the first SNIFF_BYTES of the file, or all of a shorter one
 * @param path for the message
 * @throws {FormatError} it is none of the five; says what it looks like
 */
export function sniff(start: Uint8Array, path: string): PackFormat {
  if (startsWith(start, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])) return 'xz'
  if (startsWith(start, [0x1f, 0x8b, 0x08])) return 'gz'
  if (isZstd(start)) return 'zst'
  if (startsWith(start, [0x50, 0x4b, 0x03, 0x04]) || startsWith(start, [0x50, 0x4b, 0x05, 0x06])) return 'zip'
  if (hasPartitionTable(start)) return 'img'
  throw new FormatError(`${path} is not a disk image: at byte 0 it has ${describe(start)}`, {
    hint: IMAGE_HINT,
  })
}

function startsWith(bytes: Uint8Array, magic: readonly number[], offset = 0): boolean {
  return magic.every((byte, index) => bytes[offset + index] === byte)
}

/** A zstd frame, or a skippable frame before one (pzstd writes them). */
function isZstd(start: Uint8Array): boolean {
  const first = start[0] ?? 0
  return (
    startsWith(start, [0x28, 0xb5, 0x2f, 0xfd]) ||
    (first >= 0x50 && first <= 0x5f && startsWith(start, [0x2a, 0x4d, 0x18], 1))
  )
}

/**
 * A protective or plain MBR with at least one used entry, each entry's status
 * being 00 or 80: a FAT boot sector ends in 55 AA too, but has code there.
 */
function hasPartitionTable(start: Uint8Array): boolean {
  if (start.length < SECTOR_BYTES || start[510] !== 0x55 || start[511] !== 0xaa) return false
  const entries = [446, 462, 478, 494]
  const clean = entries.every((at) => start[at] === 0x00 || start[at] === 0x80)
  return clean && entries.some((at) => start[at + 4] !== 0)
}

const lookalikes: { name: string; offset: number; magic: readonly number[] }[] = [
  { name: 'a bzip2 file', offset: 0, magic: [0x42, 0x5a, 0x68] },
  { name: 'a 7-Zip archive', offset: 0, magic: [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c] },
  { name: 'an lzip file', offset: 0, magic: [0x4c, 0x5a, 0x49, 0x50] },
  { name: 'an lz4 file', offset: 0, magic: [0x04, 0x22, 0x4d, 0x18] },
  { name: 'a RAR archive', offset: 0, magic: [0x52, 0x61, 0x72, 0x21] },
  { name: 'a squashfs file system', offset: 0, magic: [0x68, 0x73, 0x71, 0x73] },
  { name: 'a qcow2 disk', offset: 0, magic: [0x51, 0x46, 0x49, 0xfb] },
  { name: 'a tar archive', offset: 257, magic: [0x75, 0x73, 0x74, 0x61, 0x72] },
  { name: 'an ext file system without a partition table', offset: 1080, magic: [0x53, 0xef] },
  { name: 'a FAT volume without a partition table', offset: 82, magic: [0x46, 0x41, 0x54, 0x33, 0x32] },
  { name: 'a FAT volume without a partition table', offset: 54, magic: [0x46, 0x41, 0x54] },
]

function describe(start: Uint8Array): string {
  if (start.length === 0) return 'nothing: it is empty'
  const known = lookalikes.find(({ magic, offset }) => startsWith(start, magic, offset))
  if (known !== undefined) return known.name
  const head = start.subarray(0, 16)
  const text = Buffer.from(start.subarray(0, 64)).toString('latin1')
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return 'a web page, perhaps an error page of the server'
  if (start.every((byte) => byte === 0)) return `only zeroes (${start.length} bytes looked at)`
  const hex = Buffer.from(head).toString('hex').replace(/../g, '$& ').trimEnd()
  const printable = head.every((byte) => byte >= 0x20 && byte < 0x7f)
  return printable ? `${hex} (${JSON.stringify(text.slice(0, 16))})` : `${hex}, and no partition table`
}
