/** Stopped half way: a sentence on what state things are in, status 130, and no card that half works. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { InterruptedError } from '../../src/errors.ts'
import { attachLoop } from '../support/loop.ts'
import { DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { needRoot } from '../support/tools.ts'

const MiB = 1024 * 1024

for (const phase of ['write', 'verify']) {
  test(`stopped while the card is in phase ${phase}: it does not boot, and a second run makes it whole`, async (t) => {
    if (!needRoot(t)) return
    const stop = new AbortController()
    const project = demoProject(t, { signal: stop.signal })
    writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
    const loop = attachLoop(t, project.file('card'))
    const onText = (text: string) => {
      if (text.includes(`"phase":"${phase}"`)) stop.abort(new InterruptedError('stopped'))
    }
    const said = await project.piimageWatched(onText, 'flash', '--node', `oneil=${loop}`, '--yes', '--json')
    assert.equal(said.status, 130, said.stderr)
    assert.match(said.stderr, /does not boot|unbootable|not boot/)
    assert.equal(said.events.at(-1)?.exitCode, 130)
    const head = readFileSync(project.file('card')).subarray(0, MiB)
    assert.ok(head.equals(Buffer.alloc(MiB)), 'the first MiB is empty')

    const again = demoProject(t)
    assert.equal((await again.piimage('flash', '--node', `oneil=${loop}`, '--yes')).status, 0)
    assert.equal((await again.piimage('inspect', loop, '--check')).status, 0)
  })
}

test('stopped while unpacking: nothing is left in the cache, no file is made', async (t) => {
  const stop = new AbortController()
  const project = demoProject(t, { signal: stop.signal })
  const onText = (text: string) => {
    if (text.includes('"phase":"unpack"')) stop.abort(new InterruptedError('stopped'))
  }
  const said = await project.piimageWatched(onText, 'flash', '--node', 'oneil=oneil.img', '--json')
  assert.equal(said.status, 130, said.stderr)
  assert.deepEqual(readdirSync(project.file('cache/images')), [])
  assert.ok(!existsSync(project.file('oneil.img')))
  assert.deepEqual(
    readdirSync(project.folder).filter((name) => name.endsWith('.part')),
    [],
  )
})
