/** What e2fsprogs call free: the judge of used ranges. */
import type { TestContext } from 'node:test'
import type { Range } from '../../src/disk/blocks.ts'
import type { VolumeFile } from './ext4-images.ts'
import { needTool, run } from './tools.ts'

/** Free blocks as dumpe2fs lists them, as byte ranges. */
export function freeRanges(t: TestContext, file: VolumeFile): Range[] | undefined {
  if (needTool(t, 'dumpe2fs', 'e2fsprogs') === undefined) return undefined
  const { stdout } = run('dumpe2fs', [file.path])
  const blockBytes = Number(/Block size: +(\d+)/.exec(stdout)?.[1])
  // With bigalloc, dumpe2fs names a free run by the first blocks of its first and of its last cluster.
  const clusterBytes = Number(/Cluster size: +(\d+)/.exec(stdout)?.[1] ?? blockBytes)
  const ranges: Range[] = []
  for (const [, list] of stdout.matchAll(/^ {2}Free blocks: (.+)$/gm)) {
    for (const run of (list ?? '').split(', ')) {
      const [first, last = first] = run.split('-').map(Number)
      if (first === undefined || last === undefined) throw new Error(`dumpe2fs printed '${run}'`)
      const previous = ranges.at(-1)
      const offset = first * blockBytes
      const length = (last - first) * blockBytes + clusterBytes
      if (previous !== undefined && previous.offset + previous.length === offset) previous.length += length
      else ranges.push({ offset, length })
    }
  }
  return ranges
}

/** What `ranges` leave out of `length` bytes. */
export function complement(ranges: readonly Range[], length: number): Range[] {
  const others: Range[] = []
  let at = 0
  for (const range of [...ranges, { offset: length, length: 0 }]) {
    if (range.offset > at) others.push({ offset: at, length: range.offset - at })
    at = range.offset + range.length
  }
  return others
}
