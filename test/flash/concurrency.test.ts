import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inParallel, orAborted } from '../../src/flash/concurrency.ts'

const tick = () => new Promise((resolve) => setImmediate(resolve))

test('items are started in order, and never more at once than there are workers', async () => {
  const started: number[] = []
  const busy = new Set<number>()
  await inParallel(
    3,
    Array.from({ length: 20 }, (_, number) => number),
    async (item, worker) => {
      assert.ok(!busy.has(worker), 'a worker does one thing at a time')
      busy.add(worker)
      started.push(item)
      await tick()
      busy.delete(worker)
    },
  )
  assert.deepEqual(
    started,
    Array.from({ length: 20 }, (_, number) => number),
  )
})

test('after a failure nothing new starts, and what runs is waited for', async () => {
  const done: number[] = []
  let slowEnded = false
  const wrong = new Error('item 1')
  await assert.rejects(
    inParallel(2, [0, 1, 2, 3], async (item) => {
      if (item === 1) throw wrong
      await tick()
      await tick()
      slowEnded = true
      done.push(item)
    }),
    wrong,
  )
  assert.ok(slowEnded)
  assert.deepEqual(done, [0])
})

test('after a failure, items that are still to come are not waited for', async () => {
  const wrong = new Error('item 0')
  async function* items() {
    yield 0
    await new Promise(() => {})
  }
  await assert.rejects(
    inParallel(2, items(), async () => {
      throw wrong
    }),
    wrong,
  )
})

test('orAborted: the value, the reason, and no listener left behind', async () => {
  const stop = new AbortController()
  assert.equal(await orAborted(Promise.resolve(7), stop.signal), 7)
  const waiting = orAborted(new Promise(() => {}), stop.signal)
  const reason = new Error('stopped')
  stop.abort(reason)
  await assert.rejects(waiting, reason)
  await assert.rejects(orAborted(Promise.resolve(7), stop.signal), reason)
})

test('orAborted: once stopped, a promise that fails later fails nobody', async () => {
  const stop = new AbortController()
  const reason = new Error('stopped')
  stop.abort(reason)
  let fail = (_: Error): void => {}
  const late = new Promise((_, reject) => {
    fail = reject
  })
  await assert.rejects(orAborted(late, stop.signal), reason)
  fail(new Error('nobody listens'))
  // A rejection that nobody handles would end the test here.
  await new Promise((resolve) => setImmediate(resolve))
})
