/** A node's volume file: sparse, with an empty ext4 and the folders that are mounted from it. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { formatBytes } from '../units.ts'
import { makeFolder, PRIVATE } from './place.ts'
import { runTool } from './system-tool.ts'
import { volumeFolders } from './volume.ts'

/**
 * Make it unless it is there: what is in it is the node's.
 * @param uuid the file system's
 * @returns a sentence when the one that is there has another size
 * @throws {NetrootError} mkfs.ext4 failed
 */
export async function makeVolume(path: string, bytes: number, uuid: string): Promise<string | undefined> {
  makeFolder(dirname(dirname(path)), PRIVATE)
  makeFolder(dirname(path), PRIVATE)
  if (existsSync(path)) {
    const { size } = statSync(path)
    return size === bytes
      ? undefined
      : `${path} has ${formatBytes(size)} and stays so; resize2fs makes it ${formatBytes(bytes)} while its node is off`
  }
  const part = `${path}.part`
  writeFileSync(part, '', { mode: 0o600 })
  truncateSync(part, bytes)
  const folders = mkdtempSync(join(dirname(path), '.folders-'))
  try {
    for (const { name, mode } of volumeFolders) {
      mkdirSync(join(folders, name))
      chmodSync(join(folders, name), mode)
    }
    chmodSync(folders, 0o711)
    const options = `root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard`
    await runTool('mkfs.ext4', ['-q', '-F', '-m', '0', '-U', uuid, '-E', options, '-d', folders, part])
  } finally {
    rmSync(folders, { recursive: true })
  }
  renameSync(part, path)
  return undefined
}
