/** A generation's initramfs files with the segment behind them, made once for all nodes that share its root. */
import { existsSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NetrootError } from '../../errors.ts'
import { makeFolder, OPEN, removeTree } from '../server-root.ts'
import { padded } from './cpio.ts'
import { sharedSegment } from './segment.ts'

/** Beside `boot/`: the files that such nodes get in place of the generation's. */
export const sharedBoot = (generation: string): string => join(generation, 'shared')

/** `initramfs8`, `initramfs_2712`, `initramfs8.img` */
const isInitramfs = (name: string): boolean => /^initramfs/.test(name)

const scriptFolders = ['usr/share/initramfs-tools', 'etc/initramfs-tools']

/**
 * @param folder the generation, as it lies here
 * @param root where its root is mounted
 * @param generation.modified its own date
 * @throws {NetrootError} the image boots without an initramfs
 */
export async function makeSharedBoot(
  folder: string,
  root: string,
  { image, modified }: { image: string; modified: string },
): Promise<void> {
  const target = sharedBoot(folder)
  if (existsSync(target)) return
  const names = readdirSync(join(folder, 'boot')).filter(isInitramfs)
  if (names.length === 0)
    throw new NetrootError(`${image} has no initramfs, so its nodes can't share a root`, {
      hint: 'Raspberry Pi OS has one since Bookworm; or use another --root-mode.',
    })
  const time = new Date(modified)
  const segment = sharedSegment(scriptsOf(root), Math.floor(time.getTime() / 1000))
  const part = join(folder, '.shared.part')
  await removeTree(part)
  makeFolder(part, OPEN)
  for (const name of names) {
    const stock = readFileSync(join(folder, 'boot', name))
    const path = join(part, name)
    writeFileSync(path, Buffer.concat([padded(stock), segment]), { mode: 0o644 })
    utimesSync(path, time, time)
  }
  renameSync(part, target)
}

/** Scripts for the same moment that the image's own initramfs has: they were taken from its root. */
function scriptsOf(root: string): string[] {
  const folders = scriptFolders.map((folder) => join(root, folder, 'scripts/nfs-bottom'))
  const names = folders.flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []))
  return [...new Set(names)].filter((name) => name !== 'ORDER' && name !== 'piimage').sort()
}
