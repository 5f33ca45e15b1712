/**
 * A node's trees as one archive, for a server of another kind: `boot/` for its
 * TFTP server, `root/` for its NFS server, and `volume/` with its empty volume
 * file where it has one. Needs no root: owners are words in an archive.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { type BlockReader, mergeRanges, type Range } from '../disk/blocks.ts'
import { Ext4Volume } from '../disk/ext4/volume.ts'
import { openFileReader } from '../io/file-reader.ts'
import type { Task } from '../progress.ts'
import { listBoot, readBootFile } from '../tree/extract-boot.ts'
import { listVolume, type VolumeFile } from '../tree/list-volume.ts'
import type { TreeEntry } from '../tree/manifest.ts'
import type { TarWriter } from '../tree/tar-writer.ts'
import { addFile } from '../tree/volume-to-tar.ts'
import { writeArchive } from '../tree/write-archive.ts'
import { KiB, MiB } from '../units.ts'
import type { ImageSource } from './generation.ts'
import { makeVolumeFile } from './make-volume.ts'
import { VOLUME_FILE } from './paths.ts'
import type { NodePlan } from './plan.ts'

/**
 * @param out is not ended
 * @throws {FormatError} a volume is damaged; what writing to `out` throws
 */
export async function writeNodeTar(
  source: ImageSource,
  plan: Pick<NodePlan, 'boot' | 'root' | 'volume'>,
  out: Writable,
  task: Task,
): Promise<void> {
  const time = { seconds: Math.floor(source.modified.getTime() / 1000), nanoseconds: 0 }
  const make = (
    path: string,
    type: TreeEntry['type'],
    mode: number,
    more: Partial<TreeEntry> = {},
  ): TreeEntry => ({
    path,
    type,
    mode,
    uid: 0,
    gid: 0,
    mtime: time,
    size: 0,
    ...more,
  })
  await writeArchive(out, async (writer) => {
    await addBoot(source, plan, writer, make)
    await addRoot(source, plan, writer, make, task)
    if (plan.volume !== undefined) await addVolume(plan.volume, writer, make)
  })
}

async function addVolume(
  { bytes, folder }: NonNullable<NodePlan['volume']>,
  writer: TarWriter,
  make: MakeEntry,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'piimage-volume-'))
  try {
    const path = join(work, VOLUME_FILE)
    await makeVolumeFile(path, bytes, folder)
    const file = await openFileReader(path)
    try {
      const data = await writtenRanges(file)
      await writer.add(make('volume', 'directory', 0o700))
      await writer.add(make(`volume/${VOLUME_FILE}`, 'file', 0o600, { size: bytes }), {
        data,
        chunks: chunksOf(file, data),
      })
    } finally {
      await file.close()
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const PIECE = 64 * KiB

/** What is not zero in the file of a file system; where that is in use, so that gigabytes of holes are not read. */
async function writtenRanges(file: BlockReader): Promise<Range[]> {
  const pieces: Range[] = []
  for (const { offset, length } of await (await Ext4Volume.open(file)).usedRanges())
    for (let done = 0; done < length; done += PIECE) {
      const size = Math.min(PIECE, length - done)
      if ((await file.read(offset + done, size)).some((byte) => byte !== 0))
        pieces.push({ offset: offset + done, length: size })
    }
  return mergeRanges(pieces)
}

async function* chunksOf(file: BlockReader, data: readonly Range[]): AsyncGenerator<Uint8Array> {
  for (const { offset, length } of data)
    for (let done = 0; done < length; done += MiB)
      yield await file.read(offset + done, Math.min(MiB, length - done))
}

type MakeEntry = (path: string, type: TreeEntry['type'], mode: number, more?: Partial<TreeEntry>) => TreeEntry

const addContent = (writer: TarWriter, entry: TreeEntry, content: Uint8Array): Promise<void> =>
  writer.add({ ...entry, size: content.length }, { data: undefined, chunks: [content] })

async function addBoot(
  { boot }: ImageSource,
  { boot: tree }: Pick<NodePlan, 'boot'>,
  writer: TarWriter,
  make: MakeEntry,
): Promise<void> {
  const known = new Set<string>()
  for (const entry of await listBoot(boot)) {
    const path = entry.path
    if (entry.type === 'file' && (tree.files.has(path) || tree.without.has(path.toLowerCase()))) continue
    known.add(path)
    const content = entry.type === 'file' ? await readBootFile(boot, entry) : undefined
    const named = { ...entry, path: path === '' ? 'boot' : `boot/${path}` }
    if (content === undefined) await writer.add(named)
    else await addContent(writer, named, content)
  }
  for (const [path, content] of tree.files) {
    for (const folder of foldersOf(path)) {
      if (!known.has(folder)) await writer.add(make(`boot/${folder}`, 'directory', 0o755))
      known.add(folder)
    }
    await addContent(writer, make(`boot/${path}`, 'file', 0o644), content)
  }
}

/** `a/b/c` → `a`, `a/b` */
const foldersOf = (path: string): string[] =>
  path
    .split('/')
    .slice(0, -1)
    .map((_, index, names) => names.slice(0, index + 1).join('/'))

async function addRoot(
  { root }: ImageSource,
  { root: edits }: Pick<NodePlan, 'root'>,
  writer: TarWriter,
  make: MakeEntry,
  task: Task,
): Promise<void> {
  const listing = await listVolume(root, task)
  const replaced = new Set(edits.filter(({ kind }) => kind !== 'folder').map(({ path }) => path.slice(1)))
  const known = new Set(listing.directories.map(({ path }) => path))
  const files = new Map<TreeEntry, VolumeFile>()
  for (const file of [...listing.files, ...listing.others])
    for (const entry of [file.entry, ...file.links]) files.set(entry, file)
  /** Under which name a file with several is in the archive already. */
  const written = new Map<VolumeFile, string>()
  let bytes = 0
  for (const entry of listing.entries) {
    task.signal.throwIfAborted()
    const { path } = entry
    if (replaced.has(path) || entry.type === 'socket') continue
    entry.path = path === '' ? 'root' : `root/${path}`
    const file = files.get(entry)
    const first = file === undefined ? undefined : written.get(file)
    if (file !== undefined && first === undefined) written.set(file, entry.path)
    if (first !== undefined) await writer.link(entry, first)
    else if (file !== undefined && entry.type === 'file')
      await addFile(root, file, writer, task.signal, entry)
    else await writer.add(entry)
    bytes += first === undefined ? entry.size : 0
    task.report({ phase: 'write', subject: 'archive', bytes, totalBytes: listing.bytes })
  }
  for (const edit of edits) {
    const path = edit.path.slice(1)
    if (edit.kind === 'remove') continue
    for (const folder of foldersOf(path)) {
      if (!known.has(folder)) await writer.add(make(`root/${folder}`, 'directory', 0o755))
      known.add(folder)
    }
    if (edit.kind === 'link')
      await writer.add(make(`root/${path}`, 'symlink', 0o777, { target: edit.target }))
    else if (edit.kind === 'file')
      await addContent(writer, make(`root/${path}`, 'file', edit.mode), edit.content)
    else if (!known.has(path)) {
      await writer.add(make(`root/${path}`, 'directory', edit.mode))
      known.add(path)
    }
  }
}
