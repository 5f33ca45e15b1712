/**
 * A tar → its entries, names and attributes as the bytes that stand there.
 *
 * Read are POSIX and GNU archives: long names in either form, extended
 * attributes, holes (./sparse-map.ts).
 * The package tar-stream would read most of it, but takes attribute values for
 * UTF-8, and a file capability is none.
 *
 * Names are not judged here: see ./archive-tree.ts.
 */
import type { Range } from '../disk/blocks.ts'
import type { FileType } from '../disk/ext4/inode.ts'
import { FormatError } from '../errors.ts'
import { MiB } from '../units.ts'
import { ByteFeed } from './byte-feed.ts'
import { type TreeEntry, textFromBytes } from './manifest.ts'
import { parseTime } from './manifest-text.ts'
import { isMapNumber, MAP_RECORD, numberOf, type Records, readSparseMap } from './sparse-map.ts'
import { isZeroBlock, readTarHeader, TAR_BLOCK_BYTES, type TarHeader } from './tar-header.ts'

export interface ArchiveEntry {
  /** `path` is the name as it stands in the archive. */
  entry: TreeEntry
  /** Name of an earlier entry that this is a further name of. */
  linkTo?: string
  /** The parts of the file that hold data; undefined for a file without holes. */
  data?: Range[]
  /** The data, holes left out; must be read to its end before the next entry. Pieces are good until the next one. */
  body: AsyncGenerator<Buffer>
}

/** Names and attributes of one entry, and of all: they are kept in memory. */
const MAX_RECORDS_BYTES = 64 * MiB
const MAX_ALL_RECORDS_BYTES = 256 * MiB

const types: Readonly<Record<string, FileType>> = {
  '0': 'file',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  // With holes.
  S: 'file',
}

/**
 * @param name of the archive, for errors
 * @throws {FormatError} damaged, cut off, or of a kind that isn't read
 */
export async function* readTar(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<ArchiveEntry> {
  const feed = new ByteFeed(chunks, name)
  try {
    let records = new Map<string, Buffer>()
    let recordsBytes = 0
    for (;;) {
      const at = feed.offset
      // A copy: the map of a file's holes stands in it, and is read on behind it.
      const block = Buffer.from(await feed.read(TAR_BLOCK_BYTES))
      if (isZeroBlock(block)) {
        // Whoever writes the stream isn't cut off.
        await feed.drain()
        return
      }
      const header = readTarHeader(block)
      if (header === undefined) throw damaged(name, at, 'no tar header')
      if (holdsRecords(header)) {
        recordsBytes += header.size
        if (header.size > MAX_RECORDS_BYTES || recordsBytes > MAX_ALL_RECORDS_BYTES)
          throw damaged(name, at, `${recordsBytes} bytes of names and attributes`)
        await readRecords(feed, header, records, name, at)
        continue
      }
      const size = numberOf(records, 'size') ?? header.size
      const found = await describe(feed, { ...header, block }, records, size, name, at)
      yield found.entry
      for await (const _ of found.entry.body) {
        // What the reader left.
      }
      await feed.read(-found.bytes & (TAR_BLOCK_BYTES - 1))
      records = new Map()
    }
  } finally {
    await feed.close()
  }
}

/** Whether a header only says something about the next entry. */
const holdsRecords = ({ type }: TarHeader): boolean => 'xgLK'.includes(type)

async function readRecords(
  feed: ByteFeed,
  header: TarHeader,
  records: Map<string, Buffer>,
  name: string,
  at: number,
): Promise<void> {
  const { type, size } = header
  const bytes = await feed.read(size)
  await feed.read(-size & (TAR_BLOCK_BYTES - 1))
  if (type === 'L' || type === 'K') {
    const end = bytes.indexOf(0)
    records.set(type === 'L' ? 'path' : 'linkpath', Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)))
    return
  }
  const map: string[] = []
  for (const [keyword, value] of parsePax(bytes, name, at)) {
    if (type === 'x' && isMapNumber(keyword)) map.push(value.toString('latin1'))
    else if (type === 'x') records.set(keyword, value)
    else if (keyword !== 'comment') throw damaged(name, at, `the record '${keyword}' for all entries`)
  }
  if (map.length > 0) records.set(MAP_RECORD, Buffer.from(map.join(',')))
}

function parsePax(bytes: Buffer, name: string, at: number): [string, Buffer][] {
  const records: [string, Buffer][] = []
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.indexOf(0x20, start)
    const length = Number(bytes.toString('latin1', start, space))
    const end = start + length
    const equals = bytes.indexOf(0x3d, space)
    if (!(space > start && length > 0 && equals > space && equals < end && bytes[end - 1] === 0x0a))
      throw damaged(name, at, `an extended header record is malformed at its byte ${start}`)
    records.push([textFromBytes(bytes.subarray(space + 1, equals)), bytes.subarray(equals + 1, end - 1)])
    start = end
  }
  return records
}

/** @returns the entry, and how many bytes of the archive its body takes */
async function describe(
  feed: ByteFeed,
  header: TarHeader & { block: Buffer },
  records: Records,
  size: number,
  name: string,
  at: number,
): Promise<{ entry: ArchiveEntry; bytes: number }> {
  const path = textFromBytes(records.get('GNU.sparse.name') ?? records.get('path') ?? header.name)
  // Before POSIX, a slash at the end was what made a directory.
  const type = header.type === '0' && path.endsWith('/') ? 'directory' : types[header.type]
  const isLink = header.type === '1'
  if (type === undefined && !isLink)
    throw damaged(
      name,
      at,
      `${JSON.stringify(path)} is an entry of the kind '${header.type}', which isn't read`,
    )
  const entry: TreeEntry = {
    path,
    type: type ?? 'file',
    mode: header.mode,
    uid: numberOf(records, 'uid') ?? header.uid,
    gid: numberOf(records, 'gid') ?? header.gid,
    mtime: timeOf(records) ?? { seconds: header.mtime, nanoseconds: 0 },
    size: 0,
  }
  const target = textFromBytes(records.get('linkpath') ?? header.linkName)
  if (type === 'symlink') entry.target = target
  if (type?.endsWith('-device') === true) entry.rdev = { major: header.major, minor: header.minor }
  const xattrs = xattrsOf(records, path, name, at)
  if (xattrs !== undefined) entry.xattrs = xattrs
  if (isLink) return { entry: { entry, linkTo: target, body: feed.pieces(0) }, bytes: 0 }
  if (type !== 'file') return { entry: { entry, body: feed.pieces(0) }, bytes: 0 }
  const bad = (what: string) => damaged(name, at, `${JSON.stringify(path)}: ${what}`)
  const sparse = await readSparseMap(feed, header, records, size, bad)
  entry.size = sparse?.size ?? size
  const bytes = size - (sparse?.mapBytes ?? 0)
  return { entry: { entry, data: sparse?.data, body: feed.pieces(bytes) }, bytes: size }
}

function timeOf(records: Records): TreeEntry['mtime'] | undefined {
  const text = records.get('mtime')?.toString('latin1')
  return text === undefined ? undefined : parseTime(text)
}

const XATTR = 'SCHILY.xattr.'

function xattrsOf(
  records: Records,
  path: string,
  name: string,
  at: number,
): Record<string, string> | undefined {
  const xattrs: [string, string][] = []
  for (const [keyword, value] of records) {
    if (keyword.startsWith('SCHILY.acl.'))
      throw damaged(name, at, `${JSON.stringify(path)} has an access control list as text, which isn't read`)
    if (!keyword.startsWith(XATTR)) continue
    const attribute = keyword.slice(XATTR.length).replaceAll('%3D', '=').replaceAll('%25', '%')
    xattrs.push([attribute, value.toString('hex')])
  }
  if (xattrs.length === 0) return undefined
  return Object.fromEntries(xattrs.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function damaged(name: string, at: number, what: string): FormatError {
  return new FormatError(`${name} at byte ${at}: ${what}`, {
    hint: 'It should be a whole tar of a root file system, compressed or not.',
  })
}
