/**
 * A boot partition as a folder. FAT knows no owners and no modes: everything is
 * root's, and everybody may read it, as a TFTP server must.
 */
import { chmod, chown, mkdir, utimes, writeFile } from 'node:fs/promises'
import { sha256 } from '../digest.ts'
import type { FatEntry, FatVolume } from '../disk/fat/volume.ts'
import { FormatError } from '../errors.ts'
import type { Task } from '../progress.ts'
import { pathIn } from './make-entries.ts'
import { sortEntries, type TreeEntry, type TreeManifest } from './manifest.ts'
import { buildFolder } from './new-folder.ts'
import { checkOwners, type OwnerOptions } from './owners.ts'

/**
 * @param folder must not exist; is there whole afterwards or not at all
 * @throws {UsageError} not root; the folder exists
 * @throws {FormatError} the volume is damaged, or a name in it is none here
 */
export async function extractBoot(
  volume: FatVolume,
  folder: string,
  task: Task,
  options: OwnerOptions = {},
): Promise<TreeManifest> {
  const owners = checkOwners(options)
  const entries = await listBoot(volume)
  const totalBytes = entries.reduce((sum, { size }) => sum + size, 0)
  return buildFolder(folder, task, async (part) => {
    let bytes = 0
    for (const entry of entries) {
      task.signal.throwIfAborted()
      const path = pathIn(part, entry.path)
      if (entry.type === 'file') {
        const content = await readBootFile(volume, entry)
        await writeFile(path, content, { flag: 'wx' })
        bytes += content.length
        task.report({ phase: 'write', subject: folder, bytes, totalBytes })
      } else if (entry.path !== '') await mkdir(path)
      await chmod(path, entry.mode)
      if (owners) await chown(path, entry.uid, entry.gid)
    }
    // From the end: what is put into a directory changes its time.
    for (const { path, mtime } of entries.toReversed())
      await utimes(pathIn(part, path), mtime.seconds, mtime.seconds)
    return { entries }
  })
}

/** All files and folders of the volume as entries, without digests. @throws {FormatError} a name with a slash, `..` */
export async function listBoot(volume: FatVolume): Promise<TreeEntry[]> {
  const root = await volume.stat('')
  const entries = root === undefined ? [] : [toEntry(root)]
  for await (const entry of volume.walk()) {
    if (entry.name === '.' || entry.name === '..' || /[/\0]/.test(entry.name))
      throw new FormatError(`the FAT volume has a file named ${JSON.stringify(entry.name)}`)
    entries.push(toEntry(entry))
  }
  return sortEntries(entries)
}

/** Contents of a file of `listBoot`, whose digest is set. */
export async function readBootFile(volume: FatVolume, entry: TreeEntry): Promise<Uint8Array> {
  const content = await volume.readFile(entry.path)
  entry.sha256 = sha256(content)
  return content
}

function toEntry({ path, isDirectory, size, modified }: FatEntry): TreeEntry {
  return {
    path,
    type: isDirectory ? 'directory' : 'file',
    mode: isDirectory ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    // FAT counts two seconds at a time; the hundredths are of the creation only.
    mtime: { seconds: Math.floor(modified.getTime() / 1000), nanoseconds: 0 },
    size,
  }
}
