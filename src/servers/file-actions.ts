/** What applying changes, file by file: planned before anything is written, carried out, put back. */
import { chmod, mkdir, rmdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { NetrootError } from '../errors.ts'
import { type Found, findFile, isOurs, putFile, takeFile } from './place.ts'
import type { RecordedFile, ServersRecord } from './record.ts'
import type { ServerFile } from './server-file.ts'

/** A file, and what is at its place. */
export interface FileAction {
  /** Without prefix. */
  path: string
  found: Found | undefined
  /** undefined: it is to go. */
  wanted: ServerFile | undefined
}

export interface FileActions {
  /** What must change; what is right already is left out. */
  steps: FileAction[]
  /** No longer wanted, but changed by hand: left where they are. */
  kept: RecordedFile[]
  /** Folders that must be made, outermost first, without prefix. */
  folders: string[]
}

/** @throws {NetrootError} a file that is not ours, or was changed by hand, is in the way */
export async function planFileActions(
  files: readonly ServerFile[],
  record: ServersRecord,
  prefix: string,
): Promise<FileActions> {
  const steps: FileAction[] = []
  const kept: RecordedFile[] = []
  const recordedAt = new Map(record.files.map((one) => [one.path, one]))
  for (const wanted of files) {
    const { path, content, mode } = wanted
    const found = await findFile(prefix + path)
    const recorded = recordedAt.get(path)
    recordedAt.delete(path)
    const isSame = found?.content.equals(Buffer.from(content)) ?? false
    if (found !== undefined && !isSame && !isOurs(found, recorded))
      throw recorded === undefined ? foreignFile(prefix + path) : changedFile(prefix + path)
    if (!isSame || found?.mode !== mode) steps.push({ path, found, wanted })
  }
  for (const recorded of recordedAt.values()) {
    const found = await findFile(prefix + recorded.path)
    if (found === undefined) continue
    if (isOurs(found, recorded)) steps.push({ path: recorded.path, found, wanted: undefined })
    else kept.push(recorded)
  }
  return { steps, kept, folders: await missingFolders(steps, prefix) }
}

const foreignFile = (path: string): NetrootError =>
  new NetrootError(`${path} is there already, and piimage has no record of having written it`, {
    hint: `Move it away, or delete it if an earlier piimage with another state folder made it: rm '${path}'`,
  })

const changedFile = (path: string): NetrootError =>
  new NetrootError(`${path} was changed by hand since piimage wrote it`, {
    hint: 'Put what you need into the cluster file or a file beside it, delete this one, and run again.',
  })

async function missingFolders(steps: readonly FileAction[], prefix: string): Promise<string[]> {
  const missing = new Set<string>()
  for (const { path } of steps.filter(({ wanted }) => wanted !== undefined)) {
    const chain: string[] = []
    for (let folder = dirname(path); folder !== '/' && !missing.has(folder); folder = dirname(folder)) {
      if (await isThere(prefix + folder)) break
      chain.unshift(folder)
    }
    for (const folder of chain) missing.add(folder)
  }
  return [...missing]
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** @throws the signal's reason, between two files */
export async function carryOut(
  { steps, folders }: FileActions,
  prefix: string,
  signal: AbortSignal,
): Promise<void> {
  for (const folder of folders) {
    await mkdir(prefix + folder, { recursive: true })
    // mkdir leaves out what the umask has; the servers' users must get in.
    await chmod(prefix + folder, 0o755)
  }
  for (const { path, wanted } of steps) {
    signal.throwIfAborted()
    if (wanted === undefined) await takeFile(prefix + path)
    else await putFile(prefix + path, wanted.content, wanted.mode)
  }
}

/** As it was, byte for byte. */
export async function putBack({ steps, folders }: FileActions, prefix: string): Promise<void> {
  for (const { path, found } of steps)
    if (found === undefined) await takeFile(prefix + path)
    else await putFile(prefix + path, found.content, found.mode)
  await takeFolders(folders, prefix)
}

/** Those of our folders that nobody else put something into. */
export async function takeFolders(folders: readonly string[], prefix: string): Promise<void> {
  for (const folder of [...folders].reverse())
    try {
      await rmdir(prefix + folder)
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(code)) throw error
    }
}
