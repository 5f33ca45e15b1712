/**
 * A root file system that comes as a tar (ClusterCTRL's `…-usbboot.tar.xz`), as
 * the same kind of folder that an image's root becomes.
 *
 *   file ─ unpack ─► read ─► judge names ─► tar ─► GNU tar ─► FOLDER.part ─ sync, rename ─► FOLDER
 *
 * The archive is read and written anew, so what two programs might understand
 * differently never reaches the second one.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { DigestError } from '../digest.ts'
import { FormatError } from '../errors.ts'
import type { Task } from '../progress.ts'
import { formatBytes, GiB, MiB } from '../units.ts'
import { type UnpackRequest, unpackStream } from '../unpack/unpack.ts'
import { ArchiveTree } from './archive-tree.ts'
import { digested } from './file-digest.ts'
import { makeDirectories } from './make-entries.ts'
import type { TreeManifest } from './manifest.ts'
import { buildFolder, type NewFolder } from './new-folder.ts'
import { checkOwners, type OwnerOptions } from './owners.ts'
import { pull } from './pull.ts'
import { isZeroBlock, readTarHeader, TAR_BLOCK_BYTES } from './tar-header.ts'
import { type ArchiveEntry, readTar } from './tar-reader.ts'
import type { TarWriter } from './tar-writer.ts'
import { unpackInto } from './unpack-tar.ts'

/** Linux opens no longer ones. */
const MAX_NAME = 4096
/** Ten times what a root file system has; each takes memory. */
const MAX_ENTRIES = 2_000_000
/** Of all files, holes included: as much as any image may have. */
const MAX_BYTES = 64 * GiB

type Expected = UnpackRequest['expected']

export interface ArchiveOptions extends OwnerOptions, NewFolder {
  /** Size and digest of the tar inside, when they are known. */
  expected?: UnpackRequest['expected']
}

/**
 * @param path of the archive, compressed in any way that piimage unpacks, or not
 * @param folder must not exist; is there whole afterwards or not at all
 * @throws {UsageError} not root; the folder exists
 * @throws {FormatError} damaged; a name that leads out of the folder; not the expected one
 * @throws {DriveError} no room, or a file system that can't hold such files
 */
export async function extractArchive(
  path: string,
  folder: string,
  task: Task,
  options: ArchiveOptions = {},
): Promise<TreeManifest> {
  const owners = checkOwners(options)
  const name = basename(path)
  const tree = new ArchiveTree(name)
  return buildFolder(
    folder,
    task,
    async (part) => {
      await unpackInto(part, { owners, signal: task.signal }, async (writer) => {
        for await (const found of readArchive(path, task, options.expected ?? null))
          await addFound(part, tree, found, writer, owners, task.signal)
        for (const entry of tree.entries()) if (entry.type === 'directory') await writer.add(entry)
      })
      return { entries: tree.entries() }
    },
    options,
  )
}

/**
 * The entries of an archive as they stand there, unpacked on the way.
 * @throws {FormatError} damaged, not the expected one, or larger than any root
 */
export async function* readArchive(
  path: string,
  task: Task,
  expected: Expected = null,
): AsyncGenerator<ArchiveEntry> {
  const chunks = (await isPlainTar(path)) ? readPlain(path, expected) : unpacked(path, expected, task)
  const name = basename(path)
  const refuse = (what: string) =>
    new FormatError(`${name} ${what}`, { hint: 'No root file system is like that.' })
  let count = 0
  let bytes = 0
  for await (const found of readTar(chunks, name)) {
    const { path: named, target = '', size } = found.entry
    const longest = Math.max(named.length, target.length, found.linkTo?.length ?? 0)
    count += 1
    bytes += size
    if (longest > MAX_NAME) throw refuse(`has a name of ${longest} characters`)
    if (count > MAX_ENTRIES) throw refuse(`holds more than ${MAX_ENTRIES} files`)
    if (bytes > MAX_BYTES) throw refuse(`holds more than ${formatBytes(MAX_BYTES)}`)
    yield found
  }
}

/** unpackStream takes an uncompressed tar for a mistake: it looks for disk images. It says what can't be read. */
async function isPlainTar(path: string): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return false
  try {
    const block = Buffer.alloc(TAR_BLOCK_BYTES)
    const { bytesRead } = await handle.read(block, 0, block.length, 0)
    return bytesRead === block.length && !isZeroBlock(block) && readTarHeader(block) !== undefined
  } finally {
    await handle.close()
  }
}

async function* readPlain(path: string, expected: Expected): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: MiB })) {
    hash.update(chunk)
    yield chunk
  }
  const sha256 = hash.digest('hex')
  if (expected && expected.sha256 !== sha256) throw new DigestError(path, expected.sha256, sha256)
}

function unpacked(path: string, expected: Expected, task: Task): AsyncGenerator<Uint8Array> {
  return pull(
    (onChunk, signal) =>
      unpackStream({ source: path, expected: expected ?? null }, onChunk, { ...task, signal }),
    task.signal,
  )
}

async function addFound(
  part: string,
  tree: ArchiveTree,
  found: ArchiveEntry,
  writer: TarWriter,
  owners: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { entry, first, newDirectories } = tree.place(found)
  makeDirectories(part, newDirectories)
  if (first !== undefined) return writer.link(entry, first.path)
  if (entry.type === 'directory' || (!owners && entry.type.endsWith('-device'))) return
  if (entry.type !== 'file') return writer.add(entry)
  const hash = createHash('sha256')
  await writer.add(entry, {
    data: found.data,
    chunks: digested(copied(found.body), found.data, entry.size, hash, signal),
  })
  entry.sha256 = hash.digest('hex')
}

/** What is read is only lent; the writer keeps it until tar has taken it. */
async function* copied(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk)
}
