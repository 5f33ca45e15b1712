/** Used ranges of an image that is still being unpacked, for many cards at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BlockReader, mergeRanges, type Range } from '../../src/disk/blocks.ts'
import { readUsage, walkUsage } from '../../src/disk/ext4/usage.ts'
import { RangeFeed, withRanges } from '../../src/disk/range-feed.ts'
import { GiB, MiB } from '../../src/units.ts'
import { makeVolume, openVolumeFile } from '../support/ext4-images.ts'

test('the ranges of a 2 GiB volume are known from its first 32 MiB, and are those of the whole', async (t) => {
  const file = makeVolume(t, 2 * GiB, ['-t', 'ext4'])
  if (file === undefined) return
  const volume = await openVolumeFile(t, file)
  let furthest = 0
  const watched: BlockReader = {
    length: volume.length,
    read(offset, length) {
      furthest = Math.max(furthest, offset + length)
      return volume.read(offset, length)
    },
  }
  const walked: Range[] = []
  for await (const range of walkUsage(watched)) walked.push(range)
  assert.deepEqual(mergeRanges(walked), (await readUsage(volume)).used)
  assert.ok(furthest < 32 * MiB, `read up to byte ${furthest}`)
})

const ranges = [0, 10, 20, 30].map((offset) => ({ offset, length: 5 }))

async function collect(source: AsyncIterable<Range>): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of source) offsets.push(offset)
  return offsets
}

test('every follower of a feed gets all ranges, with its own put in where they belong', async () => {
  let more = () => {}
  const isMore = new Promise<void>((resolve) => {
    more = resolve
  })
  async function* walk() {
    yield* ranges.slice(0, 2)
    await isMore
    yield* ranges.slice(2)
  }
  const feed = new RangeFeed(walk())
  const early = collect(
    withRanges(
      feed,
      [25, 40].map((offset) => ({ offset, length: 1 })),
    ),
  )
  assert.equal(feed.known, undefined)
  more()
  assert.deepEqual(await early, [0, 10, 20, 25, 30, 40])
  assert.deepEqual(await collect(withRanges(feed, [{ offset: 3, length: 1 }])), [0, 3, 10, 20, 30])
  assert.deepEqual(feed.known, ranges)
})

test('a walk that fails fails every follower, after what it found', async () => {
  const wrong = new Error('no partition table')
  async function* walk() {
    yield ranges[0] as Range
    throw wrong
  }
  const feed = new RangeFeed(walk())
  await assert.rejects(collect(feed), wrong)
  await assert.rejects(feed.all(), wrong)
  const iterator = feed[Symbol.asyncIterator]()
  assert.deepEqual((await iterator.next()).value, ranges[0])
  assert.equal(feed.known, undefined)
})
