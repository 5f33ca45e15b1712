/** The ranges of a .bmap file: blocks that hold data (format of bmaptool, version 2.0). */
import type { Range } from '../src/disk/blocks.ts'

/** @param xml the file's text @param imageLength cuts the last block, which may reach past the end */
export function parseBlockMap(xml: string, imageLength: number): Range[] {
  const blockBytes = Number(/<BlockSize>\s*(\d+)/.exec(xml)?.[1])
  return [...xml.matchAll(/<Range[^>]*>\s*(\d+)(?:-(\d+))?\s*<\/Range>/g)].map(([, first, last]) => {
    const offset = Number(first) * blockBytes
    return { offset, length: Math.min(imageLength, (Number(last ?? first) + 1) * blockBytes) - offset }
  })
}
