import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Watermark } from '../../src/io/watermark.ts'

test('it only rises, and who waits for less goes first', async () => {
  const mark = new Watermark()
  const reached: number[] = []
  const waits = [30, 10, 20].map((until) => mark.reach(until).then(() => void reached.push(until)))
  mark.raise(20)
  mark.raise(5)
  assert.equal(mark.at, 20)
  await mark.reach(20)
  await turn()
  assert.deepEqual(reached, [10, 20])
  mark.raise(30)
  await Promise.all(waits)
  assert.deepEqual(reached, [10, 20, 30])
})

test('what starts over is waited for again', async () => {
  const mark = new Watermark()
  mark.raise(100)
  mark.restart()
  let isReached = false
  const wait = mark.reach(50).then(() => {
    isReached = true
  })
  mark.raise(49)
  await turn()
  assert.equal(isReached, false)
  mark.raise(50)
  await wait
})

test('who waits when it fails is told, and who comes later', async () => {
  const mark = new Watermark()
  const waiting = mark.reach(1)
  mark.fail(new Error('gone'))
  mark.fail(new Error('again'))
  await assert.rejects(waiting, /gone/)
  await assert.rejects(mark.reach(0), /gone/)
})
