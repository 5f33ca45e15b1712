/**
 * A download that is under way: `<name>.part`, and beside it `<name>.part.json`
 * with what is needed to go on later: which address it came from and how the
 * server names that version of the file. Hashes what is written.
 */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, rm } from 'node:fs/promises'
import { FetchError } from '../errors.ts'
import { appendToOwn, createOwn, openOwn } from '../io/ownership.ts'
import type { Task } from '../progress.ts'
import { hashInto } from './hash-file.ts'

/** How a server names one version of a file. */
export interface Version {
  url: string
  /** A strong ETag, or a Last-Modified: good for If-Range. */
  validator: string | null
  /** Size of the whole file, when the server said it. */
  totalBytes: number | null
}

export interface PartialFile {
  /** Bytes that are there and hashed. */
  readonly size: number
  /** Of which the bytes come; null: nothing is known, start afresh. */
  readonly version: Version | null
  /** Whether bytes of an earlier run are in it. */
  readonly resumed: boolean
  /** Forget all bytes; the next ones are of `version`. */
  restart(version: Version): Promise<void>
  append(bytes: Uint8Array): Promise<void>
  /** Flush to the disk and give the sha256 of it all; append no more. */
  finish(): Promise<string>
  close(): Promise<void>
}

/** Whatever the umask is. */
export const PARTIAL_MODE = 0o600

/** The file that says of which version `partial` is. */
const versionFile = (partial: string): string => `${partial}.json`

/** What is in a partial download is of no use: it starts from 0 again, in the same file. */
export const forgetPartial = (partial: string): Promise<void> => rm(versionFile(partial), { force: true })

/** Remove a partial download and its version file. */
export async function removePartial(partial: string): Promise<void> {
  await rm(partial, { force: true })
  await rm(versionFile(partial), { force: true })
}

/** Open or make the partial file at `path`; what is in it is hashed again, reported as `download`. */
export async function openPartialFile(path: string, task: Task, subject: string): Promise<PartialFile> {
  let version = await readVersion(path)
  let hash: Hash = createHash('sha256')
  const handle = await disk(path, () => appendToOwn(path, PARTIAL_MODE))
  let size = 0
  try {
    if (version === null) await handle.truncate(0)
    else size = await hashInto(hash, handle, task, { phase: 'download', subject })
  } catch (error) {
    await handle.close()
    throw error
  }
  let resumed = size > 0
  return {
    get size() {
      return size
    },
    get version() {
      return version
    },
    get resumed() {
      return resumed
    },
    async restart(next) {
      await disk(path, () => handle.truncate(0))
      hash = createHash('sha256')
      size = 0
      resumed = false
      version = next
      await disk(path, () => writeVersion(path, next))
    },
    async append(bytes) {
      await disk(path, () => writeAll(handle, bytes))
      hash.update(bytes)
      size += bytes.length
    },
    async finish() {
      await disk(path, () => handle.sync())
      return hash.digest('hex')
    },
    close: () => handle.close(),
  }
}

async function writeVersion(path: string, version: Version): Promise<void> {
  const handle = await createOwn(versionFile(path), PARTIAL_MODE)
  await handle.writeFile(JSON.stringify(version)).finally(() => handle.close())
}

async function readVersion(path: string): Promise<Version | null> {
  try {
    const handle = await openOwn(versionFile(path))
    const text = await handle.readFile('utf8').finally(() => handle.close())
    const { url, validator, totalBytes } = JSON.parse(text)
    if (typeof url !== 'string') return null
    return {
      url,
      validator: typeof validator === 'string' ? validator : null,
      totalBytes: Number.isSafeInteger(totalBytes) ? totalBytes : null,
    }
  } catch {
    // Absent, or torn by a crash: then the bytes beside it are of no use either.
    return null
  }
}

/** The file is open for appending: where it is written to is its end. */
async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0
  while (done < bytes.length) done += (await handle.write(bytes, done)).bytesWritten
}

/** What the disk refuses is the person's to mend: full, read-only, not theirs. */
async function disk<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined) throw error
    throw new FetchError(`${path} can't be written: ${code}`, {
      hint:
        code === 'ENOSPC'
          ? 'Make room, for example with: piimage images prune'
          : 'Choose another cache folder with --cache DIR or PIIMAGE_CACHE',
      cause: error,
    })
  }
}
