/**
 * One file at its place among other people's: what is there now, writing it
 * whole, taking it away.
 *
 * The name under which it is written begins with a dot: dnsmasq reads everything
 * else in its folder, also what a killed run left there.
 */
import { chmod, lstat, open, readFile, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isMissing } from '../errno.ts'
import { NetrootError } from '../errors.ts'
import { syncFolder } from '../io/atomic-file.ts'
import { digestOf, type RecordedFile } from './record.ts'

export interface Found {
  content: Buffer
  mode: number
}

/**
 * @returns undefined when nothing is there
 * @throws {NetrootError} a link, a folder or a device: not what piimage writes
 */
export async function findFile(path: string): Promise<Found | undefined> {
  try {
    const { mode } = await lstat(path)
    if ((mode & 0o170000) !== 0o100000)
      throw new NetrootError(`${path} is not a plain file`, {
        hint: 'Move it away; piimage writes its own file there.',
      })
    return { content: await readFile(path), mode: mode & 0o7777 }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Whether what was found is what we wrote there. */
export const isOurs = (found: Found, recorded: RecordedFile | undefined): boolean =>
  recorded?.digests.includes(digestOf(found.content)) ?? false

const partialOf = (path: string): string => join(dirname(path), `.${basename(path)}.piimage-part`)

/** Write it whole and rename it to its place; the mode is exact, whatever the umask. */
export async function putFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const partial = partialOf(path)
  await rm(partial, { force: true })
  try {
    const handle = await open(partial, 'wx', mode)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await chmod(partial, mode)
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

export async function takeFile(path: string): Promise<void> {
  await rm(partialOf(path), { force: true })
  await rm(path, { force: true })
  await syncFolder(dirname(path))
}
