import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatBmap, mappedRanges, RangeDigests } from '../../src/bake/bmap.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

test('ranges widen to whole blocks, join where they touch, and end with the image', () => {
  const length = 10 * 4096 + 512
  const used = [
    { offset: 512, length: 512 },
    { offset: 4096, length: 1 },
    { offset: 8 * 4096 - 1, length: 2 },
    { offset: 10 * 4096, length: 512 },
  ]
  assert.deepEqual(mappedRanges(used, length), [
    { offset: 0, length: 2 * 4096 },
    { offset: 7 * 4096, length: 2 * 4096 },
    { offset: 10 * 4096, length: 512 },
  ])
})

test('digests of ranges do not depend on how the bytes come by', () => {
  const image = Buffer.from(Array.from({ length: 50_000 }, (_, index) => (index * 7) % 251))
  const ranges = [
    { offset: 0, length: 4096 },
    { offset: 8192, length: 12_288 },
    { offset: 45_056, length: 4944 },
  ]
  const expected = ranges.map(({ offset, length }) =>
    createHash('sha256')
      .update(image.subarray(offset, offset + length))
      .digest('hex'),
  )
  for (const step of [1000, 4096, 50_000]) {
    const digests = new RangeDigests(ranges)
    for (let at = 0; at < image.length; at += step) digests.update(at, image.subarray(at, at + step))
    assert.deepEqual(digests.digests(), expected, `in steps of ${step}`)
  }
})

test('bmaptool copies by the map, and refuses when a mapped byte is wrong', (t) => {
  const bmaptool = needTool(t, 'bmaptool', 'bmap-tools')
  if (bmaptool === undefined) return
  const folder = tempFolder(t)
  const image = Buffer.alloc(40 * 4096)
  image.fill('data', 4096, 3 * 4096)
  image.fill('more', 30 * 4096)
  const ranges = mappedRanges(
    [
      { offset: 4096, length: 8192 },
      { offset: 30 * 4096, length: 10 * 4096 },
    ],
    image.length,
  )
  const digests = new RangeDigests(ranges)
  digests.update(0, image)
  const [source, map, target] = ['x.img', 'x.bmap', 'y.img'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(source, image)
  writeFileSync(map, formatBmap(image.length, ranges, digests.digests()))

  const copied = run(bmaptool, ['copy', '--bmap', map, source, target])
  assert.equal(copied.status, 0, copied.stderr)
  assert.ok(readFileSync(target).equals(image))
  assert.ok(statSync(target).blocks * 512 < image.length, 'the holes were not written')

  image.writeUInt8(1, 31 * 4096)
  writeFileSync(source, image)
  assert.notEqual(run(bmaptool, ['copy', '--bmap', map, source, target]).status, 0)
})
