/** Files that are rendered whole and appear whole: written beside their place, flushed, put there under their name. */
import { link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createOwn, giveToPerson } from './ownership.ts'
import { clearDeadParts, partOf } from './parts.ts'

/**
 * Replace `path` by `content`; after a crash either the old or the new file is there.
 * @param mode permission bits of the new file, whatever the umask
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  await place(path, content, mode, (partial) => rename(partial, path))
}

/**
 * Make `path`, which must not be there; after a crash it is whole or absent.
 * @param mode permission bits, whatever the umask
 * @throws errno EEXIST: it is there
 */
export async function createFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  await place(path, content, mode, async (partial) => {
    try {
      // Unlike rename, it replaces nothing.
      await link(partial, path)
    } catch (error) {
      const code = String((error as NodeJS.ErrnoException).code)
      if (!/^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS)$/.test(code)) throw error
      // A file system without links (FAT): the name is taken first, for a moment with nothing in it.
      await (await open(path, 'wx', mode)).close()
      return rename(partial, path)
    }
    await rm(partial)
  })
}

async function place(
  path: string,
  content: string | Uint8Array,
  mode: number,
  put: (partial: string) => Promise<void>,
): Promise<void> {
  const partial = partOf(path)
  await clearDeadParts(path)
  try {
    const handle = await createOwn(partial, mode)
    try {
      await giveToPerson(handle, path)
      await handle.writeFile(content)
      await handle.sync()
      await put(partial)
    } finally {
      await handle.close()
    }
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Make a rename durable. Folders can't be flushed everywhere (Windows); then the rename is as durable as it gets. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch {
    // EISDIR, EPERM or EINVAL: not supported here.
  }
}
