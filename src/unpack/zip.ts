/**
 * zip with one disk image in it, as the ClusterHAT and HypriotOS projects publish.
 *
 * yauzl reads the central directory (zip64 included); what it leaves to the
 * caller is done here: the CRC-32 and the length of what comes out, and that
 * the compressed bytes are used up. A member's name is compared and shown,
 * never used as a path.
 * Source: PKWARE APPNOTE 6.3.
 */
import { crc32, createInflateRaw } from 'node:zlib'
import yauzl from 'yauzl'
import { FormatError } from '../errors.ts'
import { brokenFile, type Decoding, type PackedFile, readPieces } from './decoding.ts'
import { decodeWithZlib, refuseLeftover } from './zlib-stream.ts'

const STORED = 0
const DEFLATED = 8
/** An archive with more members is no image archive. */
const MAX_MEMBERS = 10_000
const NAMES_SHOWN = 5
const NAME_CHARACTERS_SHOWN = 100

/**
 * @param member the one to take, folders included; default: the only one that ends in `.img`, those at the top level first
 * @throws {FormatError} damaged; encrypted; packed by another method; or no such member
 */
export async function decodeZip(
  file: PackedFile,
  member: string | undefined,
  signal: AbortSignal,
): Promise<Decoding> {
  const archive = await readable(file, () =>
    yauzl.openPromise(file.path, { strictFileNames: true, autoClose: false }),
  )
  try {
    const entry = await findImage(file, archive, member, signal)
    refuseUnreadable(file, entry)
    const header = await readable(file, () => archive.readLocalFileHeaderPromise(entry, { minimal: true }))
    return {
      totalBytes: entry.uncompressedSize,
      chunks: decodeMember(file, entry, header.fileDataStart, signal),
    }
  } finally {
    archive.close()
  }
}

/** yauzl's errors are plain ones: all of them mean a damaged file. */
async function readable<T>(file: PackedFile, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'syscall' in error) throw error
    throw new FormatError(
      `${file.path} is a damaged zip file: ${error instanceof Error ? error.message : error}`,
      {
        hint: 'Download it again; if it stays so, the publisher’s file is broken.',
        cause: error,
      },
    )
  }
}

async function findImage(
  file: PackedFile,
  archive: yauzl.ZipFile,
  member: string | undefined,
  signal: AbortSignal,
): Promise<yauzl.Entry> {
  if (archive.entryCount > MAX_MEMBERS) {
    throw new FormatError(
      `${file.path} has ${archive.entryCount} members, so it is not a zip file of one image`,
    )
  }
  const entries: yauzl.Entry[] = []
  await readable(file, async () => {
    for await (const entry of archive.eachEntry()) {
      signal.throwIfAborted()
      entries.push(entry)
    }
  })
  signal.throwIfAborted()
  const matches = member === undefined ? imagesIn(entries) : entries.filter((one) => one.fileName === member)
  const [only] = matches
  if (only !== undefined && matches.length === 1) return only
  const wanted = member === undefined ? 'one .img' : `one member ${JSON.stringify(member)}`
  throw new FormatError(`${file.path} should have ${wanted}, but has ${describeNames(entries)}`, {
    hint:
      member === undefined
        ? 'Name the image with `member` in images.lock.json.'
        : 'Correct `member` in images.lock.json.',
  })
}

/** Those at the top level; where there is none, those in folders. */
function imagesIn(entries: readonly yauzl.Entry[]): yauzl.Entry[] {
  // macOS adds a folder of its own, with a few bytes of attributes under each name.
  const images = entries.filter(
    ({ fileName }) => /\.img$/i.test(fileName) && !fileName.startsWith('__MACOSX/'),
  )
  const top = images.filter(({ fileName }) => !fileName.includes('/'))
  return top.length > 0 ? top : images
}

function describeNames(entries: readonly yauzl.Entry[]): string {
  if (entries.length === 0) return 'no members'
  const names = entries
    .slice(0, NAMES_SHOWN)
    .map(({ fileName }) => JSON.stringify(fileName.slice(0, NAME_CHARACTERS_SHOWN)))
  const more = entries.length - names.length
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function refuseUnreadable(file: PackedFile, entry: yauzl.Entry): void {
  const name = `${JSON.stringify(entry.fileName)} in ${file.path}`
  if (entry.isEncrypted()) {
    throw new FormatError(`${name} is encrypted`, {
      hint: 'Unpack it yourself and use the .img with a file: URL.',
    })
  }
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
    throw new FormatError(
      `${name} is packed by method ${entry.compressionMethod}; 0 and 8 (deflate) can be read`,
      {
        hint: 'Unpack it yourself and use the .img with a file: URL.',
      },
    )
  }
}

async function* decodeMember(
  file: PackedFile,
  entry: yauzl.Entry,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const length = entry.compressedSize
  if (offset + length > file.size) throw brokenFile(file, 'zip', offset, 'the member is longer than the file')
  const pieces = readPieces(file, offset, offset + length, signal)
  let sum = 0
  let size = 0
  for await (const chunk of entry.compressionMethod === STORED
    ? pieces
    : inflate(file, offset, length, pieces, signal)) {
    sum = crc32(chunk, sum)
    size += chunk.length
    if (size > entry.uncompressedSize) break
    yield chunk
  }
  const name = JSON.stringify(entry.fileName)
  if (size !== entry.uncompressedSize) {
    const relation = size > entry.uncompressedSize ? 'more than' : `${size} bytes, not`
    throw brokenFile(
      file,
      'zip',
      offset,
      `${name} unpacks to ${relation} the ${entry.uncompressedSize} bytes its directory gives`,
    )
  }
  if (sum !== entry.crc32) throw brokenFile(file, 'zip', offset, `${name} fails its CRC-32`)
}

async function* inflate(
  file: PackedFile,
  offset: number,
  length: number,
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const range = { path: file.path, format: 'zip', offset, length }
  refuseLeftover(range, yield* decodeWithZlib(range, pieces, (options) => createInflateRaw(options), signal))
}
