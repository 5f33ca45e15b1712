/**
 * A folder that appears whole or not at all: built beside its place as
 * `NAME.part`, flushed once, renamed.
 */
import { execFile } from 'node:child_process'
import { lstat, mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { UsageError } from '../errors.ts'
import { syncFolder } from '../io/atomic-file.ts'
import type { Task } from '../progress.ts'

export interface NewFolder {
  /** It exists, empty, and whoever made it removes it when filling it fails: a mount point. */
  isThere?: boolean
}

/**
 * @param folder must not exist; the one above it must
 * @param build fills the folder it is given
 * @throws {UsageError} something is there already; what `build` throws, with nothing left behind
 */
export async function buildFolder<T>(
  folder: string,
  task: Task,
  build: (part: string) => Promise<T>,
  { isThere = false }: NewFolder = {},
): Promise<T> {
  task.signal.throwIfAborted()
  if (isThere) return build(folder)
  if (await lstat(folder).catch(() => undefined))
    throw new UsageError(`${folder} is there already`, {
      hint: 'Name a folder that does not exist, or remove this one.',
    })
  const part = `${folder}.part`
  // What a run that was killed has left; its tar may need a moment to notice.
  await rm(part, { recursive: true, force: true, maxRetries: 5 })
  await mkdir(part, { mode: 0o700 })
  try {
    const result = await build(part)
    task.signal.throwIfAborted()
    await syncFileSystem(part)
    await rename(part, folder)
    await syncFolder(dirname(folder))
    return result
  } catch (error) {
    await rm(part, { recursive: true, force: true })
    throw error
  }
}

/** syncfs(2): one flush for all files instead of one for each. Where there is no sync(1) that can, none. */
async function syncFileSystem(folder: string): Promise<void> {
  try {
    await promisify(execFile)('sync', ['-f', folder])
  } catch {
    // Not coreutils: the folder is as durable as any other file that was copied.
  }
}
