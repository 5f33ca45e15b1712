/**
 * A node's volume: the file with an ext4 in it that the node loop-mounts, with
 * the folders that are mounted from there; and around it the image that is
 * exported, because a node that may mount a folder reaches the whole file system.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { runProgram } from '../io/run-program.ts'
import { formatBytes, MiB } from '../units.ts'
import { bareUuidOf } from '../uuid.ts'
import { fillImage, makeImage } from './fs-image.ts'
import { VOLUME_FILE } from './paths.ts'
import type { Export, ImageMount } from './served.ts'
import { at, makeFolder, PRIVATE, removeTree, type ServerRoot } from './server-root.ts'
import { runTool } from './system-tool.ts'
import { volumeFolders } from './volume.ts'

/** What the file system around a volume file takes itself. */
const aroundBytes = (bytes: number): number => Math.ceil((bytes + bytes / 64) / MiB) * MiB + 64 * MiB

/**
 * Make it unless it is there: what is in it is the node's. A volume file of an
 * earlier piimage, which lay on the server's own file system, is moved into an
 * image, with what is in it.
 *
 * @param exported what is exported now
 * @returns a sentence when the one that is there has another size, or its node must be started again
 * @throws {NetrootError} mkfs.ext4 failed, or there is no room
 */
export async function makeVolume(
  { image, folder, bytes }: ImageMount & { bytes: number },
  exported: readonly Export[],
  place: ServerRoot,
  signal: AbortSignal,
): Promise<string | undefined> {
  const path = at(place, image)
  const home = dirname(path)
  makeFolder(dirname(home), PRIVATE)
  makeFolder(home, PRIVATE)
  makeFolder(at(place, folder), PRIVATE)
  const old = join(home, VOLUME_FILE)
  if (existsSync(path)) {
    rmSync(old, { force: true })
    const { size } = statSync(path)
    const wanted = aroundBytes(bytes)
    return size === wanted
      ? undefined
      : `${path} was made for another size than ${formatBytes(bytes)} and stays so; docs/diskless.md says how to change it while its node is off`
  }
  const isMove = existsSync(old)
  const size = isMove ? Math.max(bytes, statSync(old).size) : bytes
  // Whoever still has it open would write into a file that is being copied.
  for (const { folder: was, client } of isMove && place.prefix === '' ? exported : [])
    if (was === dirname(image)) await runProgram('exportfs', ['-u', `${client}:${was}`])
  const part = `${path}.part`
  const point = join(home, '.filling')
  await removeTree(point)
  await makeImage(part, aroundBytes(size), { uuid: bareUuidOf(image) })
  await fillImage(part, point, async () => {
    const file = join(point, VOLUME_FILE)
    if (isMove) await runTool('cp', ['--sparse=always', old, file], signal)
    else await makeVolumeFile(file, bytes, folder)
  })
  rmdirSync(point)
  await runTool('sync', ['-f', part])
  renameSync(part, path)
  rmSync(old, { force: true })
  return isMove
    ? `${path} holds the volume that an earlier piimage kept on the server's own file system; its node must be started again`
    : undefined
}

/**
 * The file itself, empty: an ext4 with the folders that are mounted from it.
 * @param exported the folder that it is exported in: its UUID follows from that
 * @throws {NetrootError} mkfs.ext4 failed
 */
export async function makeVolumeFile(path: string, bytes: number, exported: string): Promise<void> {
  writeFileSync(path, '', { mode: 0o600 })
  truncateSync(path, bytes)
  const folders = mkdtempSync(join(dirname(path), '.folders-'))
  for (const { name, mode } of volumeFolders) {
    mkdirSync(join(folders, name))
    chmodSync(join(folders, name), mode)
  }
  chmodSync(folders, 0o711)
  const extended = 'root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard'
  const words = ['-q', '-F', '-m', '0', '-U', bareUuidOf(exported), '-E', extended, '-d', folders]
  await runTool('mkfs.ext4', [...words, path])
  rmSync(folders, { recursive: true })
  if (process.getuid?.() === 0) return
  // mkfs took the owner of the folders over.
  for (const { name } of volumeFolders)
    for (const field of ['uid', 'gid'])
      await runTool('debugfs', ['-w', '-R', `set_inode_field /${name} ${field} 0`, path])
}
