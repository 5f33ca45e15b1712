/** Memory stays bounded whatever the size of the image, and the process ends by itself. */
import assert from 'node:assert/strict'
import { closeSync, openSync, writeSync } from 'node:fs'
import { extname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { filter, MiB, noise } from './samples.ts'

const MOST_BYTES = 300e6
const child = fileURLToPath(new URL(`./unpack-child${extname(import.meta.url)}`, import.meta.url))

const xz = (bytes: Buffer, ...args: string[]) => filter('xz', ['-c', '-T1', ...args], bytes)

/** Streams one after another are one file: large images without the time to compress them. */
const cases: {
  name: string
  tool: [string, string]
  part: () => Buffer
  partBytes: number
  times: number
}[] = [
  {
    name: 'xz, 4 GiB of zeroes',
    tool: ['xz', 'xz-utils'],
    part: () => xz(Buffer.alloc(128 * MiB), '-1'),
    partBytes: 128 * MiB,
    times: 32,
  },
  {
    name: 'xz, 600 MB of noise',
    tool: ['xz', 'xz-utils'],
    part: () => xz(noise(24 * MiB), '-0', '--lzma2=preset=0,dict=8MiB'),
    partBytes: 24 * MiB,
    times: 25,
  },
  {
    name: 'xz, large blocks and dictionaries',
    tool: ['xz', 'xz-utils'],
    part: () => xz(Buffer.alloc(192 * MiB, 'piimage '), '--lzma2=preset=0,dict=64MiB'),
    partBytes: 192 * MiB,
    times: 4,
  },
  {
    name: 'gzip, 1 GiB',
    tool: ['gzip', 'gzip'],
    part: () => gzipSync(Buffer.alloc(128 * MiB, 'piimage '), { level: 1 }),
    partBytes: 128 * MiB,
    times: 8,
  },
  {
    name: 'zstd, 1 GiB',
    tool: ['zstd', 'zstd'],
    part: () => filter('zstd', ['-q', '-c', '--long=27'], Buffer.alloc(128 * MiB, 'piimage ')),
    partBytes: 128 * MiB,
    times: 8,
  },
]

for (const { name, tool, part, partBytes, times } of cases) {
  test(`unpackFile stays under ${MOST_BYTES / 1e6} MB resident: ${name}`, (t) => {
    if (needTool(t, ...tool) === undefined) return
    const folder = tempFolder(t)
    const source = join(folder, 'packed')
    const bytes = part()
    const file = openSync(source, 'w')
    for (let i = 0; i < times; i++) writeSync(file, bytes)
    closeSync(file)
    const { status, stdout, stderr } = run(process.execPath, [child, source, join(folder, 'image')])
    assert.equal(status, 0, stderr)
    const { size, residentBytes } = JSON.parse(stdout) as { size: number; residentBytes: number }
    assert.equal(size, partBytes * times)
    t.diagnostic(`${Math.round(residentBytes / 1e6)} MB resident`)
    assert.ok(residentBytes < MOST_BYTES, `${Math.round(residentBytes / 1e6)} MB`)
  })
}
