/**
 * A node's root onto the disk, by the way that its root mode takes: whatever the
 * node may write, and whatever only it may read, lies in an image of its own.
 */
import { chmodSync, chownSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RootMode } from '../cluster/root-modes.ts'
import type { RootEdit } from '../systems/root/root-edit.ts'
import { MiB } from '../units.ts'
import { applyRootEdits } from './apply-root-edits.ts'
import { uuidOf } from './edition.ts'
import { changeImage, copyImage, fillImage, makeImage, ROOT_BYTES } from './fs-image.ts'
import { makeFolder, PRIVATE } from './place.ts'
import { mountOverlay } from './root-mode.ts'
import { STATE_FILE } from './shared/segment.ts'
import { stateArchive } from './shared/state.ts'
import { runMountTool } from './system-tool.ts'

/** What a root is made of. */
export interface RootSource {
  /** The generation's root, as an image. */
  image: string
  /** Where that is mounted now. */
  lower: string
  edits: readonly RootEdit[]
  /** Time of everything that piimage puts into it. */
  modified: Date
  signal: AbortSignal
}

/**
 * @param folder the edition's private folder; its images lie there under other names until it is whole
 * @param name of the edition: its images' UUIDs follow from it
 */
export async function makeRoot(
  mode: RootMode,
  source: RootSource,
  folder: string,
  name: string,
): Promise<void> {
  const { image, lower, edits, modified, signal } = source
  const place = (file: string) => join(folder, file)
  const uuid = uuidOf(name)
  switch (mode) {
    case 'shared':
      return putState(folder, uuid, stateArchive(lower, edits, modified))
    case 'overlay':
      mkdirSync(place('merged'), { mode: PRIVATE })
      await makeImage(place('own.ext4'), ROOT_BYTES, { uuid })
      return fillImage(place('own.ext4'), place('own'), () =>
        editOverlay(lower, place('own'), place('merged'), (root) => applyRootEdits(root, edits, modified)),
      )
    case 'reflink':
    case 'copy':
      await copyImage(image, place('root.ext4'), mode === 'copy' ? 'never' : 'always', uuid, signal)
      return changeImage(place('root.ext4'), place('root'), async () =>
        applyRootEdits(place('root'), edits, modified),
      )
  }
}

/**
 * Through the overlay, mounted as the server will mount it: with `nfs_export`
 * the kernel merges only those folders that it has copied up itself.
 */
async function editOverlay(
  lower: string,
  own: string,
  merged: string,
  edit: (path: string) => void,
): Promise<void> {
  const [upper, work] = [join(own, 'upper'), join(own, 'work')]
  for (const folder of [upper, work]) mkdirSync(folder, { mode: PRIVATE })
  // The root folder's own rights are the upper one's.
  const { mode, uid, gid } = statSync(lower)
  chownSync(upper, uid, gid)
  chmodSync(upper, mode & 0o7777)
  await mountOverlay({ lower, upper, work, merged })
  try {
    edit(merged)
  } finally {
    await runMountTool('umount', [merged])
  }
}

/** It holds the node's secrets, and is exported to that node only. */
async function putState(folder: string, uuid: string, archive: Uint8Array): Promise<void> {
  const from = join(folder, '.state')
  makeFolder(from, PRIVATE)
  writeFileSync(join(from, STATE_FILE), archive, { mode: 0o600 })
  const bytes = LEAST_STATE_BYTES + 2 * archive.length
  await makeImage(join(folder, 'state.ext4'), bytes - (bytes % MiB), { uuid, from })
  rmSync(from, { recursive: true })
  mkdirSync(join(folder, 'state'), { mode: PRIVATE })
}

/** A file system with a journal needs that much to itself; nearly all of it is a hole. */
const LEAST_STATE_BYTES = 16 * MiB
