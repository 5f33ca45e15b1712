/** What of a tree is made without tar: directories, before anything is in them, and sockets, which no tar holds. */
import { execFile } from 'node:child_process'
import { chmodSync, closeSync, lchownSync, linkSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { bytesFromText, type TreeEntry } from './manifest.ts'
import { formatTime } from './pax.ts'

/** The bytes of a file name inside `folder`. */
export function pathIn(folder: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), bytesFromText(path)])
}

/** @param directories each before what is in it; the root is there already */
export function makeDirectories(folder: string, directories: readonly TreeEntry[]): void {
  for (const { path } of directories) if (path !== '') mkdirSync(pathIn(folder, path), { mode: 0o700 })
}

/** Those among `files`, with their further names. */
export async function makeSockets(
  folder: string,
  files: readonly { entry: TreeEntry; links: readonly TreeEntry[] }[],
  owners: boolean,
): Promise<void> {
  for (const { entry, links } of files) {
    if (entry.type !== 'socket') continue
    await makeSocket(folder, entry, owners)
    for (const link of links) linkSync(pathIn(folder, entry.path), pathIn(folder, link.path))
  }
}

/**
 * A socket's name may have 107 bytes, so it is bound under a short one, which
 * Node removes when it closes unless it was renamed.
 */
async function makeSocket(folder: string, entry: TreeEntry, owners: boolean): Promise<void> {
  const short = `${folder}/.piimage-socket`
  const fd = openSync(folder, 'r')
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(`/proc/self/fd/${fd}/.piimage-socket`, resolve)
    })
    if (owners) lchownSync(short, entry.uid, entry.gid)
    chmodSync(short, entry.mode)
    // Node rounds times to some 200 nanoseconds.
    await promisify(execFile)('touch', ['-h', '-d', `@${formatTime(entry.mtime)}`, short])
    renameSync(short, pathIn(folder, entry.path))
  } finally {
    server.close()
    closeSync(fd)
  }
}
