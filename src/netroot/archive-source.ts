/**
 * A root file system that comes as a tar, looked through once without unpacking
 * it: its boot files, and what the edits of a root depend on.
 */
import { type BootFiles, bootFilesOf } from '../boot/boot-files.ts'
import { FormatError } from '../errors.ts'
import type { Task } from '../progress.ts'
import type { SnapshotSource } from '../systems/root/root-snapshot.ts'
import { ArchiveTree } from '../tree/archive-tree.ts'
import { readArchive } from '../tree/extract-archive.ts'
import { formatBytes, KiB, MiB } from '../units.ts'
import type { ArchiveSource } from './generation.ts'

/** Texts on boot partitions, and the settings that are looked at, are smaller. */
const LARGEST_TEXT = 64 * KiB
/** All of them are kept in memory at once; a root has two or three MiB. */
const MAX_TEXTS_BYTES = 128 * MiB

export interface LookedThrough {
  source: ArchiveSource
  boot: BootFiles
  root: SnapshotSource
}

/**
 * @param path of the archive
 * @throws {FormatError} damaged, or without boot files
 */
export async function lookThroughArchive(path: string, task: Task): Promise<LookedThrough> {
  const tree = new ArchiveTree(path)
  const contents = new Map<string, Uint8Array>()
  const targets = new Map<string, string>()
  const names = new Set<string>()
  let newest = 0
  let textBytes = 0
  for await (const found of readArchive(path, task)) {
    const { entry } = tree.place(found)
    names.add(entry.path)
    if (entry.target !== undefined) targets.set(entry.path, entry.target)
    const isWanted = /^(boot|etc)\//.test(entry.path) && entry.type === 'file'
    if (isWanted) newest = Math.max(newest, entry.mtime.seconds)
    const chunks: Buffer[] = []
    const isText = isWanted && found.linkTo === undefined && entry.size <= LARGEST_TEXT
    if (isText) textBytes += entry.size
    if (textBytes > MAX_TEXTS_BYTES)
      throw new FormatError(
        `${path} has more than ${formatBytes(MAX_TEXTS_BYTES)} of small files in boot and etc`,
      )
    for await (const chunk of found.body) if (isText) chunks.push(Buffer.from(chunk))
    if (isText) contents.set(entry.path, Buffer.concat(chunks))
    else if (isWanted) contents.set(entry.path, new Uint8Array())
  }
  const bootPath = ['boot/firmware', 'boot'].find((folder) => names.has(`${folder}/cmdline.txt`))
  if (bootPath === undefined)
    throw new FormatError(`${path} has no boot/cmdline.txt and no boot/firmware/cmdline.txt`, {
      hint: 'A root for diskless nodes brings its boot files along: ClusterCTRL calls such archives usbboot.',
    })
  const boot = [...contents]
    .filter(([name]) => name.startsWith(`${bootPath}/`))
    .map(([name, content]) => [name.slice(bootPath.length + 1), content] as const)
  return {
    source: { path, bootPath, modified: new Date(newest * 1000) },
    boot: bootFilesOf(new Map(boot)),
    root: {
      has: async (name) => names.has(name.slice(1)),
      read: async (name, offset, length) => contents.get(name.slice(1))?.subarray(offset, offset + length),
      link: async (name) => targets.get(name.slice(1)),
    },
  }
}
