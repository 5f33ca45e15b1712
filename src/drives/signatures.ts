/**
 * What lies on a drive or a partition, by the marks that file systems, RAID,
 * LVM and encryption leave at fixed places. Pure: bytes in, names out.
 *
 * udev knows the same where it runs; it does not in containers and on macOS,
 * and it does not tell which drives belong together. Types are named as blkid
 * names them.
 *
 * Sources: the formats' own headers: Linux fs/<name>/, include/uapi/linux/raid/md_p.h,
 * LVM2 lib/format_text/layout.h, OpenZFS sys/vdev_impl.h, Apple File System Reference,
 * Microsoft exFAT specification, ECMA-119.
 */
import { KiB } from '../units.ts'

export interface Signature {
  /** `ext4`, `crypto_LUKS`, `LVM2_member`, … */
  type: string
  label?: string
  /** Of what spans several drives: what its members share. */
  set?: string
}

/** What is read from the start: ZFS keeps its first uberblocks behind 128 KiB. */
export const HEAD_BYTES = 264 * KiB
/** What is read from the end: older RAID keeps its mark there. */
export const TAIL_BYTES = 128 * KiB

/** A mark that is nothing but bytes at a place. */
const PLAIN: readonly [type: string, at: number, mark: string][] = [
  ['ntfs', 3, 'NTFS    '],
  ['exfat', 3, 'EXFAT   '],
  ['BitLocker', 3, '-FVE-FS-'],
  ['ReFS', 3, 'ReFS\0'],
  ['apfs', 32, 'NXSB'],
  ['squashfs', 0, 'hsqs'],
  ['DM_integrity', 0, 'integrt\0'],
  ['DM_verity_hash', 0, 'verity\0\0'],
  ['ceph_bluestore', 0, 'bluestore block device'],
  ['hfsplus', 1024, 'H+\0\x04'],
  ['hfsplus', 1024, 'HX\0\x05'],
  ['bcachefs', 4120, '\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef'],
]

/**
 * @param start the first `HEAD_BYTES`, or all there is
 * @param tail the last `TAIL_BYTES`, or all there is
 * @param size of the whole, bytes
 * @returns all that is there: what was overwritten may have left marks
 */
export function findSignatures(start: Buffer, tail: Buffer, size: number): Signature[] {
  const head = start.length < HEAD_BYTES ? Buffer.concat([start], HEAD_BYTES) : start
  const plain = PLAIN.filter(([, at, mark]) => has(head, at, mark)).map(([type]) => ({ type }))
  const found = [
    findLuks(head),
    findXfs(head),
    findExt(head),
    findBtrfs(head),
    findF2fs(head),
    findErofs(head),
    findSwap(head),
    findLvm(head),
    findRaid(head, tail, size),
    findZfs(head),
    findBcache(head),
    findIso(head),
    findFat(head),
    ...plain,
  ]
  return found.filter((signature) => signature !== undefined)
}

function findLuks(head: Buffer): Signature | undefined {
  if (!has(head, 0, 'LUKS\xba\xbe')) return undefined
  return { type: 'crypto_LUKS', label: head.readUInt16BE(6) === 2 ? text(head, 24, 48) : undefined }
}

const findXfs = (head: Buffer): Signature | undefined =>
  has(head, 0, 'XFSB') ? { type: 'xfs', label: text(head, 108, 12) } : undefined

function findExt(head: Buffer): Signature | undefined {
  if (!has(head, 1080, '\x53\xef') || head.length < 2048) return undefined
  const [compatible, incompatible] = [head.readUInt32LE(1116), head.readUInt32LE(1120)]
  // Extents, 64 bits, flexible groups.
  const type = incompatible & 0x2c0 ? 'ext4' : compatible & 4 ? 'ext3' : 'ext2'
  return { type, label: text(head, 1144, 16) }
}

function findBtrfs(head: Buffer): Signature | undefined {
  const at = 64 * KiB
  if (!has(head, at + 64, '_BHRfS_M')) return undefined
  const isSet = head.readBigUInt64LE(at + 136) > 1n
  return {
    type: 'btrfs',
    label: text(head, at + 299, 256),
    set: isSet ? head.toString('hex', at + 32, at + 48) : undefined,
  }
}

function findF2fs(head: Buffer): Signature | undefined {
  if (!has(head, 1024, '\x10\x20\xf5\xf2')) return undefined
  return { type: 'f2fs', label: head.toString('utf16le', 1148, 1148 + 1024).split('\0')[0] || undefined }
}

const findErofs = (head: Buffer): Signature | undefined =>
  has(head, 1024, '\xe2\xe1\xf5\xe0') ? { type: 'erofs', label: text(head, 1088, 16) } : undefined

/** The mark ends the first page, whose size is that of the machine that made it. */
function findSwap(head: Buffer): Signature | undefined {
  const pages = [4 * KiB, 8 * KiB, 16 * KiB, 64 * KiB]
  const isSwap = pages.some(
    (page) => has(head, page - 10, 'SWAPSPACE2') || has(head, page - 10, 'SWAP-SPACE'),
  )
  return isSwap ? { type: 'swap', label: text(head, 1052, 16) } : undefined
}

/** The label stands in one of the first four sectors; the volume group is described in text, by default from 4 KiB on. */
function findLvm(head: Buffer): Signature | undefined {
  const sectors = [0, 512, 1024, 1536]
  if (!sectors.some((at) => has(head, at, 'LABELONE') && has(head, at + 24, 'LVM2 001'))) return undefined
  const area = 4 * KiB
  if (!has(head, area + 4, ' LVM2 x[5A%r0N*>')) return { type: 'LVM2_member' }
  const from = area + Number(head.readBigUInt64LE(area + 40))
  const description = head.toString('latin1', from, from + Number(head.readBigUInt64LE(area + 48)))
  const name = /^\s*([\w.+-]+) \{/.exec(description)?.[1]
  const id = /\bid = "([^"]+)"/.exec(description)?.[1]
  const members = description.match(/\bpv\d+ \{/g)?.length ?? 0
  return { type: 'LVM2_member', label: name, set: members > 1 ? id : undefined }
}

/** Where Linux' RAID keeps its mark: version 1.1 and 1.2 at the start, 1.0 and 0.90 near the end. */
function findRaid(head: Buffer, tail: Buffer, size: number): Signature | undefined {
  const mark = '\xfc\x4e\x2b\xa9'
  const tailStart = size - tail.length
  const sectors = Math.floor(size / 512)
  const last = Math.floor((sectors - 16) / 8) * 8 * 512
  for (const [bytes, at] of [
    [head, 0],
    [head, 4 * KiB],
    [tail, last - tailStart],
  ] as const) {
    if (at < 0 || at + 256 > bytes.length || !has(bytes, at, mark) || bytes.readUInt32LE(at + 4) !== 1)
      continue
    return {
      type: 'linux_raid_member',
      label: text(bytes, at + 32, 32),
      set: bytes.readUInt32LE(at + 92) > 1 ? bytes.toString('hex', at + 16, at + 32) : undefined,
    }
  }
  const old = Math.floor(size / (64 * KiB)) * 64 * KiB - 64 * KiB - tailStart
  if (old < 0 || old + 64 > tail.length || !has(tail, old, mark)) return undefined
  const words = [5, 13, 14, 15].map((word) => tail.readUInt32LE(old + word * 4).toString(16))
  return { type: 'linux_raid_member', set: tail.readUInt32LE(old + 40) > 1 ? words.join('-') : undefined }
}

/** A label is 256 KiB: names and values from 16 KiB on, then a ring of uberblocks. */
function findZfs(head: Buffer): Signature | undefined {
  const isMark = (at: number) => has(head, at, '\x0c\xb1\xba\0') || has(head, at + 4, '\0\xba\xb1\x0c')
  const ring = Array.from({ length: 128 }, (_, index) => (128 + index) * KiB)
  if (!ring.some(isMark)) return undefined
  const values = head.subarray(16 * KiB, 128 * KiB)
  return {
    type: 'zfs_member',
    label: xdrValue(values, 'name', (at) =>
      values.toString('latin1', at + 4, at + 4 + values.readUInt32BE(at)),
    ),
    set: xdrValue(values, 'pool_guid', (at) => values.toString('hex', at, at + 8)),
  }
}

/** XDR: length of the name, the name padded to four bytes, type, count, value. */
function xdrValue(bytes: Buffer, name: string, read: (at: number) => string): string | undefined {
  const padded = Buffer.alloc(4 + Math.ceil(name.length / 4) * 4)
  padded.writeUInt32BE(name.length)
  padded.write(name, 4)
  const at = bytes.indexOf(padded)
  return at < 0 || at + padded.length + 16 > bytes.length
    ? undefined
    : read(at + padded.length + 8) || undefined
}

function findBcache(head: Buffer): Signature | undefined {
  const mark = '\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81'
  if (!has(head, 4120, mark)) return undefined
  const set = head.toString('hex', 4152, 4168)
  return { type: 'bcache', label: text(head, 4168, 32), set: /^0+$/.test(set) ? undefined : set }
}

const findIso = (head: Buffer): Signature | undefined =>
  has(head, 32769, 'CD001') ? { type: 'iso9660', label: text(head, 32808, 32) } : undefined

/** A FAT without a partition table around it; a table's first sector has no such words at these places. */
function findFat(head: Buffer): Signature | undefined {
  if (!has(head, 510, '\x55\xaa')) return undefined
  if (has(head, 82, 'FAT32   ')) return { type: 'vfat', label: fatLabel(head, 71) }
  return has(head, 54, 'FAT1') ? { type: 'vfat', label: fatLabel(head, 43) } : undefined
}

function fatLabel(head: Buffer, at: number): string | undefined {
  const label = text(head, at, 11)
  return label === 'NO NAME' ? undefined : label
}

const has = (bytes: Buffer, at: number, mark: string): boolean =>
  at >= 0 && at + mark.length <= bytes.length && bytes.toString('latin1', at, at + mark.length) === mark

/** A name in a field that is filled up with zeroes or blanks. */
const text = (bytes: Buffer, at: number, length: number): string | undefined =>
  bytes
    .toString('utf8', at, at + length)
    .split('\0')[0]
    ?.trim() || undefined
