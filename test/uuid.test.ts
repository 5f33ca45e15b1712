import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatUuid, uuidFrom, uuidOf } from '../src/uuid.ts'

test('a UUID says its version and variant, and keeps every other bit', () => {
  const [zeros, ones] = [new Uint8Array(16), new Uint8Array(32).fill(0xff)]
  assert.equal(formatUuid(ones), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  assert.equal(uuidFrom(zeros, 4), '00000000-0000-4000-8000-000000000000')
  assert.equal(uuidFrom(ones, 4), 'ffffffff-ffff-4fff-bfff-ffffffffffff')
  assert.equal(uuidFrom(ones, 8), 'ffffffff-ffff-8fff-bfff-ffffffffffff')
  assert.deepEqual(zeros, new Uint8Array(16), 'what was given is left alone')
})

test('the UUID of a text: frozen, because NetworkManager would take another one for a new connection', () => {
  assert.equal(uuidOf('piimage connection oneil eth0'), 'df7ffe4b-5b22-85b2-add6-df3b4142adc1')
  assert.notEqual(uuidOf('a'), uuidOf('b'))
})
