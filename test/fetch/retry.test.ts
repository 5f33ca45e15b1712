import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFailure } from '../../src/fetch/http.ts'
import { retrying } from '../../src/fetch/retry.ts'
import { MiB } from '../../src/units.ts'

const policy = { attempts: 3, firstDelayMs: 0, maxDelayMs: 0 }
const { signal } = new AbortController()

/** @param gains bytes that each failing attempt gathers first @returns how many attempts were made */
async function attemptsOf(gains: readonly number[], retryable = true): Promise<number> {
  let [made, gathered] = [0, 0]
  const attempt = async () => {
    const gain = gains[made]
    made += 1
    if (gain === undefined) return
    gathered += gain
    throw new HttpFailure('the connection broke', retryable)
  }
  await retrying(policy, signal, attempt, () => gathered).catch((error) => {
    assert.ok(error instanceof HttpFailure)
  })
  return made
}

test('failures in a row end it; one that gained a MiB begins a new row', async () => {
  assert.equal(await attemptsOf([]), 1)
  assert.equal(await attemptsOf([0, 0]), 3)
  assert.equal(await attemptsOf([0, 0, 0, 0, 0]), 3, 'given up')
  assert.equal(await attemptsOf(Array(9).fill(MiB)), 10, 'slow, and never given up')
  assert.equal(await attemptsOf(Array(9).fill(MiB - 1)), 3)
  assert.equal(await attemptsOf([0, MiB, 0, 0, 0]), 4, 'two after the one that gained')
  assert.equal(await attemptsOf([MiB, MiB], false), 1, 'what asking again does not change')
})
