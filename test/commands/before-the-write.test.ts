/** What a person hears before a card is erased: whose it was, how much is written, about how long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeDrive } from '../../src/commands/describe-drive.ts'
import type { Receipt } from '../../src/customise/receipt.ts'
import type { Drive } from '../../src/drives/drive.ts'
import { estimate } from '../../src/work/estimate.ts'

test('minutes come of bytes, and of reading them back', () => {
  assert.match(estimate([2_900_000_000]) ?? '', /^up to 2\.9 GB to write and read back: about 4 min /)
  assert.match(estimate([2_900_000_000], { verify: false }) ?? '', /^up to 2\.9 GB to write: about 3 min /)
  assert.match(estimate([1, 62_914_560]) ?? '', /^up to 62\.9 MB each to write and read back: about 1 min /)
  assert.equal(estimate([]), undefined)
  assert.equal(estimate([0]), undefined)
})

test('a card with a receipt is called by its node', () => {
  const drive = { size: 31_900_000_000, bus: 'USB', partitions: [], mounts: [] } as unknown as Drive
  const was = { node: 'pi1', cluster: 'home', image: { key: 'raspios@1' } } as Receipt
  assert.equal(describeDrive(drive, was), '31.9 GB, USB; the card of pi1 (cluster home, raspios@1)')
  assert.equal(
    describeDrive(drive, { ...was, image: undefined }),
    '31.9 GB, USB; the card of pi1 (cluster home)',
  )
  assert.equal(describeDrive(drive), '31.9 GB, USB')
})
