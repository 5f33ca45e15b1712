/**
 * The TFTP root read from the disk, as the server would map requests to it: for
 * a rehearsal where no server runs, and to name the file behind a request.
 */
import { readFile, stat } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { isMissing } from '../errno.ts'
import type { ServedCluster, ServedNode } from '../netroot/served.ts'
import type { BootSource } from './boot-source.ts'

/** A node with links named by MAC address has a TFTP root of its own (dnsmasq: `tftp-unique-root=mac`). */
export function tftpFolderOf(served: ServedCluster, node: ServedNode): string {
  const own = node.tftpNames.find((name) => name === node.mac?.replaceAll(':', '-'))
  return own === undefined ? served.tftpRoot : join(served.tftpRoot, own)
}

/** @param folder what the server takes for `/` */
export function openBootFolder(folder: string): BootSource {
  const placeOf = (path: string) => join(folder, normalize(`/${path}`))
  return {
    placeOf,
    async ask(path, how) {
      try {
        const file = await stat(placeOf(path))
        if (!file.isFile()) return { kind: 'missing' }
        // The server is no member of any group that owns these files.
        if (Math.floor(file.mode / 4) % 2 === 0)
          return { kind: 'refused', message: `mode ${(file.mode % 0o1000).toString(8)}` }
        return { kind: 'file', bytes: how === 'probe' ? new Uint8Array() : await readFile(placeOf(path)) }
      } catch (error) {
        if (isMissing(error)) return { kind: 'missing' }
        return { kind: 'refused', message: (error as Error).message }
      }
    },
  }
}
