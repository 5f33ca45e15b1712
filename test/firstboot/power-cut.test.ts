import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type FakePi, fakePi, install, lay, runSteps, secretTexts, snapshot, stub } from './fake-pi.ts'

/**
 * The programs that change files. Each counts its calls in one file and, at the
 * given one, kills the whole process group: before its work, or after it.
 */
const changing = ['cp', 'mv', 'rm', 'mkdir', 'chmod', 'sync', 'dd', 'ln', 'cat', 'tee']

function armCut(pi: FakePi): void {
  for (const name of changing) {
    const real = name === 'sync' ? ':' : `/bin/${name} "$@"`
    stub(
      pi,
      name,
      `printf x >>'${pi.folder}/count'; n=$(wc -c <'${pi.folder}/count')
[ "$n" -lt "\${CUT_BEFORE:-1000000}" ] || kill -9 0
${real}; status=$?
[ "$n" -lt "\${CUT_AFTER:-1000000}" ] || kill -9 0
exit $status`,
    )
  }
}

const steps = {
  '10-clock.sh': 'echo clock >>"$PIIMAGE_ROOT/clock"\n',
  '20-two.sh': 'echo two >"$PIIMAGE_ROOT/two"\n',
}

/** Install, run the steps; undefined after a skip. */
function firstBoot(pi: FakePi, env: Record<string, string> = {}): void {
  lay(pi.folder, { count: '' })
  const installed = install(pi, env)
  if (installed.signal === null) runSteps(pi, env)
}

/** What must be the same however often the power went: all but what one sees of time and calls. */
function endState(pi: FakePi): Record<string, string> {
  const { calls: _, count: __, ...rest } = snapshot(pi.folder)
  for (const path of Object.keys(rest)) {
    if (
      path.startsWith('bin') ||
      path.startsWith('root/boot/firmware/piimage/log') ||
      path.startsWith('root/run')
    )
      delete rest[path]
  }
  return rest
}

// All points with PIIMAGE_EVERY_CUT=1; else a stride that is prime to any pattern in them.
const stride = process.env.PIIMAGE_EVERY_CUT === '1' ? 1 : 17

for (const when of ['CUT_BEFORE', 'CUT_AFTER']) {
  test(`the power goes (${when}) at any point of the first boot: the end is the same`, (t) => {
    const whole = fakePi(t, { steps })
    if (whole === undefined) return
    armCut(whole)
    firstBoot(whole)
    const points = readFileSync(join(whole.folder, 'count')).length
    assert.ok(points > 100, `only ${points} points were counted`)
    // The second boot of the whole run, so that both sides have booted twice.
    const expected = endState(whole)

    let cuts = 0
    for (let point = 1; point <= points; point += stride) {
      const pi = fakePi(t, { steps })
      if (pi === undefined) return
      armCut(pi)
      lay(pi.folder, { count: '' })
      const cut = install(pi, { [when]: String(point) })
      const inside = cut.signal === 'SIGKILL' || runSteps(pi, { [when]: String(point) }).signal === 'SIGKILL'
      // A run that waits for something may make a few calls less than the whole one did.
      if (!inside && point > points - 30) break
      assert.ok(inside, `point ${point} was never reached`)
      cuts++
      // Power comes back: the trigger is still there, or our unit takes over.
      const trigger = readFileSync(join(pi.boot, 'cmdline.txt'), 'utf8').includes('systemd.run=')
      lay(pi.folder, { count: '' })
      if (trigger) install(pi)
      runSteps(pi)
      const { 'root/clock': clock, ...state } = endState(pi)
      const { 'root/clock': _, ...wanted } = expected
      assert.deepEqual(relative(state, pi), relative(wanted, whole), `${when} ${point}`)
      assert.match(clock ?? '', /^644 (clock\n){1,2}$/, `${when} ${point}`)
      const fat = Object.values(snapshot(pi.boot)).join('\n')
      for (const text of secretTexts) assert.ok(!fat.includes(text), `${when} ${point}: ${text}`)
    }
    assert.ok(cuts >= Math.floor((points - 30) / stride))
  })
}

/** Each Pi has a folder of its own; its name must not count as a difference. */
function relative(state: Record<string, string>, pi: FakePi): Record<string, string> {
  return JSON.parse(JSON.stringify(state).replaceAll(pi.folder, '')) as Record<string, string>
}
