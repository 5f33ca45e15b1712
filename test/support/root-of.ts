/** A root file system of a few files, on an ext4 that mke2fs made. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { Ext4Volume } from '../../src/disk/ext4/volume.ts'
import { openFileReader } from '../../src/io/file-reader.ts'
import { openRootFacts, type RootFacts } from '../../src/root/root-facts.ts'
import { rootFilesOf } from '../../src/root/root-files.ts'
import { makeVolume } from './ext4-images.ts'
import { tempFolder } from './temp.ts'

/** A text that begins with `->` is the target of a link. */
export async function rootOf(
  t: TestContext,
  texts: Record<string, string | Uint8Array>,
  more?: (folder: string) => void,
): Promise<RootFacts | undefined> {
  const folder = tempFolder(t)
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true })
    if (typeof text === 'string' && text.startsWith('->')) symlinkSync(text.slice(2), join(folder, path))
    else writeFileSync(join(folder, path), text)
  }
  more?.(folder)
  const volume = makeVolume(t, 64 * 1024 * 1024, ['-t', 'ext4', '-d', folder])
  if (volume === undefined) return undefined
  const reader = await openFileReader(volume.path)
  t.after(() => reader.close())
  return openRootFacts(rootFilesOf(await Ext4Volume.open(reader)))
}
