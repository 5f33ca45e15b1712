/** Files that are rendered whole and appear whole: written beside their place, flushed, renamed. */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replace `path` by `content`; after a crash either the old or the new file is there.
 * @param mode permission bits of the new file
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  const partial = `${path}.${process.pid}.part`
  try {
    const handle = await open(partial, 'w', mode)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(partial, path)
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
