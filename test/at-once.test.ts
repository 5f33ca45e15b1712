import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapAtOnce } from '../src/at-once.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('mapAtOnce: never more than the limit, and one that takes long holds nobody up', async () => {
  let open = 0
  let most = 0
  let release = () => {}
  const slow = new Promise<void>((resolve) => (release = resolve))
  const done: number[] = []
  const items = Array.from({ length: 100 }, (_, index) => index)
  const all = mapAtOnce(items, 8, async (item) => {
    open += 1
    most = Math.max(most, open)
    await (item === 3 ? slow : turn())
    open -= 1
    done.push(item)
    if (done.length === 99) release()
    return item * 2
  })
  assert.deepEqual(
    await all,
    items.map((item) => item * 2),
  )
  assert.equal(most, 8)
  assert.equal(done.at(-1), 3)
})

test('mapAtOnce: of an empty list, and what fails ends it', async () => {
  assert.deepEqual(await mapAtOnce([], 8, turn), [])
  const started: number[] = []
  const failing = mapAtOnce([1, 2, 3, 4, 5, 6], 2, async (item) => {
    started.push(item)
    await turn()
    if (item === 2) throw new Error('two')
  })
  await assert.rejects(failing, /two/)
  await turn()
  assert.ok(started.length < 6, started.join())
})
