/** SIGKILL at every step: whatever is on the card then, it is not a bootable half. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { KiB, MiB } from '../../src/units.ts'
import { attachLoop } from '../support/loop.ts'
import { patternBytes } from '../support/pattern.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot } from '../support/tools.ts'

const BYTES = 24 * MiB
const image = patternBytes('image', BYTES)
const oldCard = patternBytes('old card', BYTES)

/** Kill the writer at its `step`th line. @returns whether it was still running */
async function writeUntil(step: number, imagePath: string, drivePath: string): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'killed-writer.js'), imagePath, drivePath],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let lines = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lines += text.split('\n').length - 1
    if (lines >= step) child.kill('SIGKILL')
  })
  return new Promise((resolve) => child.on('close', (_, signal) => resolve(signal === 'SIGKILL')))
}

test('a killed writer leaves the old card, an empty start, or the whole image; the next one succeeds', async (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t)
  const [imagePath, backing] = [join(folder, 'image'), join(folder, 'card')]
  writeFileSync(imagePath, image)
  writeFileSync(backing, oldCard)
  const path = attachLoop(t, backing)
  const seen = new Set<string>()
  for (let step = 1, running = true; running; step += 1) {
    assert.ok(step < 100, 'the writer ends')
    writeFileSync(backing, oldCard, { flag: 'r+' })
    running = await writeUntil(step, imagePath, path)
    const card = readFileSync(backing)
    const state = card.equals(image)
      ? 'whole'
      : card.equals(oldCard)
        ? 'old'
        : card.subarray(0, 4 * KiB).equals(Buffer.alloc(4 * KiB))
          ? 'unbootable'
          : 'bootable half'
    assert.notEqual(state, 'bootable half', `killed at step ${step}`)
    seen.add(state)
  }
  assert.ok(seen.has('unbootable') && seen.has('whole'), [...seen].join())
})
