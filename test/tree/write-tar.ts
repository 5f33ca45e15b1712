/**
 * An image's file systems as one tar, for a server of another kind: in the
 * order of the tree, so that any tar can unpack it in one pass, and the same
 * bytes for the same image.
 */
import type { Writable } from 'node:stream'
import type { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import type { FatVolume } from '../../src/disk/fat/volume.ts'
import type { Task } from '../../src/progress.ts'
import { listBoot, readBootFile } from '../../src/tree/extract-boot.ts'
import { listVolume, type VolumeFile } from '../../src/tree/list-volume.ts'
import { sortEntries, type TreeEntry, type TreeManifest } from '../../src/tree/manifest.ts'
import type { TarWriter } from '../../src/tree/tar-writer.ts'
import { addFile } from '../../src/tree/volume-to-tar.ts'
import { writeArchive } from '../../src/tree/write-archive.ts'

export interface TarSource {
  root: Ext4Volume
  /** Where the system mounts its boot partition: `boot/firmware`. What the root has in that folder is left out. */
  boot?: { volume: FatVolume; path: string }
}

/**
 * @param out is not ended
 * @returns what is in the archive; sockets are left out, which no tar holds
 * @throws {FormatError} a volume is damaged; what writing to `out` throws
 */
export async function writeTar(source: TarSource, out: Writable, task: Task): Promise<TreeManifest> {
  const { root, boot } = source
  const listing = await listVolume(root, task)
  const bootEntries = boot === undefined ? [] : await listBoot(boot.volume)
  /** Its path on the boot partition. */
  const bootPaths = new Map<TreeEntry, string>()
  for (const entry of bootEntries) {
    bootPaths.set(entry, entry.path)
    entry.path = entry.path === '' ? (boot?.path ?? '') : `${boot?.path}/${entry.path}`
  }
  const isHidden = ({ path }: TreeEntry) =>
    boot !== undefined && (path === boot.path || path.startsWith(`${boot.path}/`))
  const kept = listing.entries.filter((entry) => entry.type !== 'socket' && !isHidden(entry))
  const entries = sortEntries([...kept, ...bootEntries])

  const files = new Map<TreeEntry, VolumeFile>()
  for (const file of [...listing.files, ...listing.others])
    for (const entry of [file.entry, ...file.links]) files.set(entry, file)
  /** Under which name a file with several is in the archive already. */
  const written = new Map<VolumeFile, string>()
  const totalBytes = listing.bytes + bootEntries.reduce((sum, { size }) => sum + size, 0)
  let bytes = 0
  const addEntry = async (writer: TarWriter, entry: TreeEntry): Promise<void> => {
    const bootPath = bootPaths.get(entry)
    const file = files.get(entry)
    if (bootPath !== undefined && boot !== undefined) {
      const body = entry.type === 'file' ? await readBoot(boot.volume, entry, bootPath) : undefined
      await writer.add(entry, body)
      bytes += entry.size
    } else if (file === undefined) await writer.add(entry)
    else {
      const first = written.get(file)
      written.set(file, first ?? entry.path)
      if (first !== undefined) return writer.link(entry, first)
      if (entry.type === 'file') await addFile(root, file, writer, task.signal, entry)
      else await writer.add(entry)
      bytes += entry.size
    }
    task.report({ phase: 'write', subject: 'tar', bytes, totalBytes })
  }
  await writeArchive(out, async (writer) => {
    for (const entry of entries) {
      task.signal.throwIfAborted()
      await addEntry(writer, entry)
    }
  })
  return { entries }
}

async function readBoot(volume: FatVolume, entry: TreeEntry, path: string) {
  const onVolume = { ...entry, path }
  const content = await readBootFile(volume, onVolume)
  if (onVolume.sha256 !== undefined) entry.sha256 = onVolume.sha256
  return { data: undefined, chunks: [content] }
}
