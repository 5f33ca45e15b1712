/**
 * A root file system as a folder, without mounting it: every file with its
 * owner, mode, time, attributes, links and holes.
 *
 *   volume ─ list ─► directories, sockets (node:fs)
 *                 └► files in the order they lie ─► tar ─► GNU tar ─► FOLDER.part ─ sync, rename ─► FOLDER
 *
 * Directories are made first and get their times, modes and attributes last:
 * what is put into them changes the first and may not be allowed by the second.
 */
import type { Ext4Volume } from '../disk/ext4/volume.ts'
import type { Task } from '../progress.ts'
import { listVolume } from './list-volume.ts'
import { makeDirectories, makeSockets } from './make-entries.ts'
import type { TreeManifest } from './manifest.ts'
import { buildFolder, type NewFolder } from './new-folder.ts'
import { checkOwners, type OwnerOptions } from './owners.ts'
import { unpackInto } from './unpack-tar.ts'
import { addFile } from './volume-to-tar.ts'

/**
 * @param folder must not exist; is there whole afterwards or not at all
 * @throws {UsageError} not root; the folder exists
 * @throws {FormatError} the volume is damaged
 * @throws {DriveError} no room, or a file system that can't hold such files
 */
export async function extractRoot(
  volume: Ext4Volume,
  folder: string,
  task: Task,
  options: OwnerOptions & NewFolder = {},
): Promise<TreeManifest> {
  const owners = checkOwners(options)
  const listing = await listVolume(volume, task)
  if (!owners) {
    const isDevice = ({ entry }: { entry: { type: string } }) => entry.type.endsWith('-device')
    listing.others = listing.others.filter((file) => !isDevice(file))
    listing.entries = listing.entries.filter((entry) => !isDevice({ entry }))
  }
  return buildFolder(
    folder,
    task,
    async (part) => {
      makeDirectories(part, listing.directories)
      await makeSockets(part, listing.others, owners)
      await unpackInto(part, { owners, signal: task.signal }, async (writer) => {
        let bytes = 0
        for (const file of listing.files) {
          task.signal.throwIfAborted()
          await addFile(volume, file, writer, task.signal)
          for (const link of file.links) await writer.link(link, file.entry.path)
          bytes += file.entry.size
          task.report({ phase: 'write', subject: folder, bytes, totalBytes: listing.bytes })
        }
        for (const { entry, links } of listing.others) {
          if (entry.type === 'socket') continue
          await writer.add(entry)
          for (const link of links) await writer.link(link, entry.path)
        }
        for (const directory of listing.directories) await writer.add(directory)
      })
      return { entries: listing.entries }
    },
    options,
  )
}
