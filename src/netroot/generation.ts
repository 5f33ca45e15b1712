/**
 * A generation: an image's two file systems, never changed once they are there;
 * the boot partition as a folder, the root as a file system image that holds
 * nothing else. It appears under its name when it is whole and on the disk.
 */
import { existsSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Ext4Volume } from '../disk/ext4/volume.ts'
import type { FatVolume } from '../disk/fat/volume.ts'
import { NetrootError } from '../errors.ts'
import { syncFolder, writeFileAtomically } from '../io/atomic-file.ts'
import { formatState, readState } from '../io/state-file.ts'
import type { Task } from '../progress.ts'
import { type FileCapability, fileCapabilities } from '../tree/capabilities.ts'
import { extractArchive } from '../tree/extract-archive.ts'
import { extractBoot } from '../tree/extract-boot.ts'
import { extractRoot } from '../tree/extract-root.ts'
import type { TreeEntry, TreeManifest } from '../tree/manifest.ts'
import { formatManifest } from '../tree/manifest-text.ts'
import { bareUuidOf } from '../uuid.ts'
import { fillImage, makeImage, ROOT_BYTES } from './fs-image.ts'
import type { GenerationPlan } from './plan.ts'
import { at, makeFolder, OPEN, PRIVATE, removeTree, type ServerRoot } from './server-root.ts'
import { generationFormat } from './state-formats.ts'
import { runTool } from './system-tool.ts'

/** `generation.json`. */
export interface GenerationRecord {
  id: string
  /** Key in images.lock.json. */
  image: string
  /** Of the image's raw bytes. */
  sha256: string
  /** The image's own date: of everything that piimage puts into a node's trees. */
  modified: string
  /** Programs with rights that NFS version 3 does not carry. */
  capabilities: FileCapability[]
}

/** The image that a generation is made of, opened. */
export type GenerationSource = ImageSource | ArchiveSource

export interface ImageSource {
  boot: FatVolume
  root: Ext4Volume
  modified: Date
}

/** A root file system in a tar, with its boot files inside. */
export interface ArchiveSource {
  /** Of the archive. */
  path: string
  /** Where the boot files are in it: `boot`, `boot/firmware`. */
  bootPath: string
  modified: Date
}

/**
 * Make a generation, unless it is there.
 * @throws as the extraction does, with nothing left behind but what the next run removes
 */
export async function makeGeneration(
  plan: GenerationPlan,
  open: () => Promise<GenerationSource>,
  place: ServerRoot,
  task: Task,
): Promise<GenerationRecord> {
  const folder = at(place, plan.folder)
  if (existsSync(folder)) return readGeneration(folder)
  const part = join(dirname(folder), `.${plan.id}.part`)
  await removeTree(part)
  makeFolder(dirname(folder), PRIVATE)
  makeFolder(part, PRIVATE)
  const source = await open()
  const named: Task = {
    ...task,
    report: (progress) => task.report({ ...progress, subject: `generation ${plan.id}` }),
  }
  const image = join(part, 'root.ext4')
  await makeImage(image, ROOT_BYTES + sizeOf(source), { uuid: bareUuidOf(plan.folder) })
  const { boot, root } = await fillImage(image, join(part, 'root'), () => extract(source, part, named))
  await writeFileAtomically(join(part, 'boot.manifest'), formatManifest(boot), 0o600)
  await writeFileAtomically(join(part, 'root.manifest'), formatManifest(root), 0o600)
  const record: GenerationRecord = {
    id: plan.id,
    image: plan.image,
    sha256: plan.sha256,
    modified: source.modified.toISOString(),
    capabilities: fileCapabilities(root),
  }
  await writeFileAtomically(join(part, 'generation.json'), formatState(generationFormat, record), 0o600)
  await runTool('sync', ['-f', part])
  renameSync(part, folder)
  await syncFolder(dirname(folder))
  return record
}

interface Manifests {
  boot: TreeManifest
  root: TreeManifest
}

/** An upper bound of what its root takes beside what nodes may add. */
const sizeOf = (source: GenerationSource): number =>
  'path' in source
    ? statSync(source.path).size * MOST_COMPRESSED
    : source.root.superblock.blockCount * source.root.superblock.blockBytes

/** xz makes a root file system three to five times smaller. */
const MOST_COMPRESSED = 8

/** @param part has the image's root mounted in it */
async function extract(source: GenerationSource, part: string, task: Task): Promise<Manifests> {
  if ('path' in source) return extractBoth(source, part, task)
  return {
    boot: await extractBoot(source.boot, join(part, 'boot'), task),
    root: await extractRoot(source.root, join(part, 'root'), task, { isThere: true }),
  }
}

/** The boot files move out of the root: nodes get them otherwise, and write their own there. */
async function extractBoth({ path, bootPath }: ArchiveSource, part: string, task: Task): Promise<Manifests> {
  const whole = await extractArchive(path, join(part, 'root'), task, { isThere: true })
  await runTool('mv', [join(part, 'root', bootPath), join(part, 'boot')], task.signal)
  makeFolder(join(part, 'root', bootPath), OPEN)
  await runTool('chmod', ['-R', 'u=rwX,go=rX', join(part, 'boot')], task.signal)
  const isBoot = ({ path: name }: TreeEntry): boolean => name === bootPath || name.startsWith(`${bootPath}/`)
  const boot = whole.entries.filter(isBoot)
  return {
    boot: { entries: boot.map((entry) => ({ ...entry, path: entry.path.slice(bootPath.length + 1) })) },
    root: { entries: whole.entries.filter((entry) => entry.path === bootPath || !isBoot(entry)) },
  }
}

/** @throws {NetrootError} the record is damaged, or not there */
export function readGeneration(folder: string): GenerationRecord {
  const path = join(folder, 'generation.json')
  const record = readState<GenerationRecord>(generationFormat, path)
  if (record !== undefined) return record
  throw new NetrootError(`${path} is not there`, { hint: generationFormat.hint })
}
