/**
 * A folder's tree as a manifest. GNU tar looks at it, because Node can read no
 * extended attribute; what it would archive is read here and kept nowhere.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, type Stats } from 'node:fs'
import { DriveError } from '../errors.ts'
import type { Task } from '../progress.ts'
import { ArchiveTree } from './archive-tree.ts'
import { digested } from './file-digest.ts'
import type { TreeManifest } from './manifest.ts'
import { readTar } from './tar-reader.ts'

export interface ReadFolderOptions {
  /** It is somebody else's, who may change it meanwhile, and put anything into it. */
  foreign?: {
    /** Only a file of this size is worth a digest: a hole of terabytes would take days. */
    sizeOf(path: string): number | undefined
    /** Entries that it may have. */
    most: number
  }
}

/**
 * Everything but sockets, which tar leaves out.
 *
 * @throws {DriveError} tar says why: a file that may not be read, that changes meanwhile
 */
export async function readFolder(
  folder: string,
  task: Task,
  { foreign }: ReadFolderOptions = {},
): Promise<TreeManifest> {
  if (!isDirectory(folder)) throw new DriveError(`${folder} is not a folder`)
  const args = [
    '--create',
    '--file=-',
    `--directory=${folder}`,
    '--format=posix',
    '--numeric-owner',
    '--sparse',
  ]
  args.push('--xattrs', '--xattrs-include=*', '--pax-option=delete=atime,delete=ctime', '.')
  const child = spawn('tar', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', TAR_OPTIONS: '' },
    signal: task.signal,
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 1000)
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => {
      // 1: something was changed, or removed, as it was read.
      if (status === 0 || (status === 1 && foreign !== undefined)) return resolve()
      reject(
        new DriveError(`${folder} can't be read: ${complaint.trim().split('\n')[0] ?? `status ${status}`}`),
      )
    })
  })
  // Awaited below, maybe too late for Node.
  ended.catch(() => {})
  const tree = new ArchiveTree(folder)
  let bytes = 0
  let count = 0
  try {
    for await (const found of readTar(child.stdout, folder)) {
      task.signal.throwIfAborted()
      count += 1
      if (count > (foreign?.most ?? Number.POSITIVE_INFINITY))
        throw new DriveError(`${folder} holds more than ${foreign?.most} files: too many to compare`)
      const { entry, first } = tree.place(found)
      if (entry.type !== 'file' || first !== undefined) continue
      if (foreign !== undefined && foreign.sizeOf(entry.path) !== entry.size) {
        for await (const chunk of found.body) bytes += chunk.length
        continue
      }
      const hash = createHash('sha256')
      for await (const chunk of digested(found.body, found.data, entry.size, hash, task.signal))
        bytes += chunk.length
      entry.sha256 = hash.digest('hex')
      task.report({ phase: 'verify', subject: folder, bytes, totalBytes: null })
    }
    await ended
  } catch (error) {
    child.kill('SIGKILL')
    task.signal.throwIfAborted()
    // An archive that ends early is what is left of a tar that failed.
    await ended
    throw error
  }
  return { entries: tree.entries() }
}

function isDirectory(folder: string): boolean {
  const stat: Stats | undefined = lstatSync(folder, { throwIfNoEntry: false })
  return stat?.isDirectory() === true
}
