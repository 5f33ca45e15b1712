/**
 * `copy:` in overlay.yaml: files that lie beside the cluster file and travel in
 * the payload (packages for a cluster without internet, a repository's key).
 *
 * Their digests travel with them, as `NAME.sha256`, of a folder as `SHA256SUMS`:
 * an SD card loses bits, and
 * what is installed as root is checked on the node before it is.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bytesOf } from '../boot/boot-files.ts'
import { sha256 } from '../digest.ts'
import { UsageError } from '../errors.ts'
import type { Subject } from './values.ts'

export interface RawCopy {
  /** null: nothing is copied. */
  from: unknown
  to: string
  /** Regular expression: which files of a folder. */
  names?: string
}

const digestOf = (content: Uint8Array): string => sha256(content)

/** Names that a FAT and a shell take without a thought. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9.+_~%-]*$/

/**
 * @returns files by their path in the payload
 * @throws {UsageError} nothing there, or nothing that can travel
 */
export async function copiedFiles(
  { from, to, names = '' }: RawCopy,
  { cluster }: Subject,
  where: string,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  if (from === null) return files
  const path = resolve(cluster.folder, String(from))
  try {
    if (!(await stat(path)).isDirectory()) {
      const content = new Uint8Array(await readFile(path))
      const name = to.slice(to.lastIndexOf('/') + 1)
      return files.set(to, content).set(`${to}.sha256`, bytesOf(`${digestOf(content)}  ${name}\n`))
    }
    const found = (await readdir(path, { withFileTypes: true }))
      .filter((entry) => entry.isFile() && new RegExp(names).test(entry.name))
      .map(({ name }) => name)
      .sort()
    if (found.length === 0)
      throw new UsageError(`${where}: the folder ${path} holds none of the files that belong there`, {
        hint: names === '' ? 'Put the files into it.' : `Their names must match ${names}.`,
      })
    let sums = ''
    for (const name of found) {
      if (!plainName.test(name))
        throw new UsageError(`${where}: ${JSON.stringify(name)} in ${path} is no name for a boot partition`, {
          hint: 'Use letters, digits and . + _ ~ % - only.',
        })
      const content = new Uint8Array(await readFile(join(path, name)))
      sums += `${digestOf(content)}  ${name}\n`
      files.set(`${to}/${name}`, content)
    }
    return files.set(`${to}/SHA256SUMS`, bytesOf(sums))
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${where}: ${path} cannot be read: ${(error as Error).message}`, {
      hint: 'The path is relative to the cluster file.',
      cause: error,
    })
  }
}
