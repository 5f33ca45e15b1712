/** What lies on the boot partition of a card made from the demo image. */
import { readFileSync } from 'node:fs'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { memoryReader } from './memory-reader.ts'
import { DEMO_LAYOUT } from './project.ts'

/** Every file and folder with its content, a folder's being '/', by path. */
export async function bootFiles(card: string): Promise<Map<string, string>> {
  const { offset, length } = DEMO_LAYOUT.boot
  const volume = await FatVolume.open(memoryReader(readFileSync(card).subarray(offset, offset + length)))
  const files = new Map<string, string>()
  for await (const { path, isDirectory } of volume.walk())
    files.set(path, isDirectory ? '/' : Buffer.from(await volume.readFile(path)).toString('latin1'))
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)))
}
