/** Compressed and archived images, as files: what finds the image in them, and what unpacks it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KiB } from '../../../src/units.ts'
import { unpackStream } from '../../../src/unpack/unpack.ts'
import { readXzBlocks } from '../../../src/unpack/xz-index.ts'
import { packedSeeds } from '../seeds.ts'
import type { FuzzTarget } from '../target.ts'

let folder: string | undefined

/** The input as a file; one file for all, on a disk in memory where /tmp is one. */
function save(input: Uint8Array): string {
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'piimage-fuzz-'))
    const made = folder
    process.once('exit', () => rmSync(made, { recursive: true, force: true }))
  }
  const path = join(folder, 'input')
  writeFileSync(path, input)
  return path
}

const signal = new AbortController().signal
const maxBytes = 64 * KiB

function unpackTarget(name: string, ...suffixes: string[]): FuzzTarget {
  return {
    name,
    kind: 'binary',
    seeds: async () => packedSeeds(...suffixes),
    async run(input) {
      let size = 0
      const count = async (bytes: Uint8Array): Promise<void> => {
        size += bytes.length
      }
      await unpackStream({ source: save(input), maxBytes }, count, { report: () => {}, signal })
      if (size > maxBytes) throw new Error(`${size} bytes came out, where ${maxBytes} were allowed`)
    },
  }
}

export const zipTarget = unpackTarget('zip', '.zip')
export const gzipTarget = unpackTarget('gzip', '.gz')

/** Where the blocks are; what is in one is the decoder's (a library's) own affair. */
export const xzTarget: FuzzTarget = {
  name: 'xz-index',
  kind: 'binary',
  seeds: async () => packedSeeds('.xz'),
  async run(input) {
    const path = save(input)
    const handle = await open(path, 'r')
    try {
      await readXzBlocks({ path, handle, size: input.length }, signal)
    } finally {
      await handle.close()
    }
  },
}
