import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import {
  calls,
  type FakePi,
  type FakePiOptions,
  fakePi,
  install,
  lay,
  readRoot,
  runSteps,
  shells,
  snapshot,
  statusOf,
} from './fake-pi.ts'

/** A step that leaves a line in `ran`, then ends with this status. */
const step = (name: string, status = 0) => `echo ${name} >>"$PIIMAGE_ROOT/ran"\nexit ${status}\n`

const ran = (pi: FakePi) => (existsSync(join(pi.root, 'ran')) ? readRoot(pi, 'ran').trim().split('\n') : [])
const pauses = (pi: FakePi) => calls(pi).filter((call) => call.startsWith('sleep '))
const isDone = (pi: FakePi) => existsSync(join(pi.root, 'var/lib/piimage/firstboot.done'))

function installed(t: Parameters<typeof fakePi>[0], options: FakePiOptions): FakePi | undefined {
  const pi = fakePi(t, { earlySteps: [], ...options })
  if (pi !== undefined) install(pi)
  return pi
}

for (const shell of shells) {
  describe(`run.sh under ${shell}`, () => {
    test('runs the steps in order, each once', (t) => {
      const pi = installed(t, {
        shell,
        steps: { '20-b.sh': step('b'), '10-a.sh': step('a'), '30-c.sh': step('c') },
      })
      if (pi === undefined) return
      const first = runSteps(pi)
      assert.equal(first.status, 0, first.output)
      assert.deepEqual(ran(pi), ['a', 'b', 'c'])
      assert.ok(isDone(pi))
      assert.equal(statusOf(pi).state, 'done')
      const { calls: before, ...then } = snapshot(pi.folder)
      assert.equal(runSteps(pi).status, 0)
      const { calls: after, ...now } = snapshot(pi.folder)
      assert.deepEqual(now, then)
      assert.equal(after, before)
    })

    test('a step that fails is tried again; those before it are not', (t) => {
      const pi = installed(t, {
        shell,
        steps: { '10-a.sh': step('a'), '20-b.sh': `${step('b')}`, '30-c.sh': step('c') },
      })
      if (pi === undefined) return
      const path = join(pi.root, 'opt/piimage/firstboot.d')
      lay(path, { '20-b.sh': step('b', 1) })
      const first = runSteps(pi, { PIIMAGE_LONGEST_PAUSE: '0' })
      assert.equal(first.status, 1, first.output)
      assert.equal(statusOf(pi).state, 'retrying')
      assert.ok(!isDone(pi))
      lay(path, { '20-b.sh': step('b') })
      assert.equal(runSteps(pi).status, 0)
      assert.deepEqual(ran(pi), ['a', 'b', 'b', 'c'])
    })
  })
}

test('steps know the node, quotes and dollars included', (t) => {
  const pi = installed(t, {
    steps: { '10-a.sh': 'printf %s "$PIIMAGE_HOSTNAME|$PIIMAGE_DOCKER_NOTE" >"$PIIMAGE_ROOT/said"\n' },
  })
  if (pi === undefined) return
  runSteps(pi)
  assert.equal(readRoot(pi, 'said'), 'oneil|it\'s "quoted" $HOME')
})

test('pauses double up to five minutes; after the limit it gives up until the next boot, and says so', (t) => {
  const pi = installed(t, { steps: { '10-apt.sh': 'echo no route to host >&2\nexit 100\n' } })
  if (pi === undefined) return
  const statuses = []
  for (let start = 0; start < 12; start++) statuses.push(runSteps(pi).status)
  assert.deepEqual(statuses, [...Array(11).fill(1), 78])
  assert.deepEqual(
    pauses(pi),
    [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300].map((seconds) => `sleep ${seconds}`),
  )
  assert.deepEqual([statusOf(pi).step, statusOf(pi).state], ['10-apt', 'failed'])
  assert.match(readFileSync(join(pi.fat, 'log/10-apt.log'), 'utf8'), /no route to host/)
  assert.match(readFileSync(join(pi.fat, 'log/status.json'), 'utf8'), /"state":"failed"/)
  assert.match(readRoot(pi, 'etc/issue.d/piimage.issue'), /oneil: 10-apt failed/)

  // What counts the attempts does not survive the power.
  rmSync(join(pi.root, 'run'), { recursive: true })
  assert.equal(runSteps(pi).status, 1)
})

test('waiting for something outside has no limit', (t) => {
  const pi = installed(t, { steps: { '10-join.sh': 'exit 75\n' } })
  if (pi === undefined) return
  for (let start = 0; start < 14; start++) assert.equal(runSteps(pi).status, 1)
  assert.equal(statusOf(pi).state, 'waiting')
})

test('a step that can never succeed here is not tried again', (t) => {
  const pi = installed(t, { steps: { '10-k8s.sh': step('k8s', 78), '20-b.sh': step('b') } })
  if (pi === undefined) return
  assert.equal(runSteps(pi).status, 78)
  assert.deepEqual(ran(pi), ['k8s'])
  assert.deepEqual(pauses(pi), [])
})

test('an installer that was cut off is finished first', (t) => {
  const pi = installed(t, { steps: { '10-a.sh': step('a') }, earlySteps: ['hostname'] })
  if (pi === undefined) return
  rmSync(join(pi.root, 'var/lib/piimage/installed'))
  rmSync(join(pi.root, 'var/lib/piimage/early'), { recursive: true })
  lay(pi.root, { 'etc/hostname': 'raspberrypi\n' })
  const ended = runSteps(pi)
  assert.equal(ended.status, 0, ended.output)
  assert.equal(readRoot(pi, 'etc/hostname'), 'oneil\n')
  assert.deepEqual(ran(pi), ['a'])
})

test('a payload put on the card later is installed at the next start', (t) => {
  const pi = installed(t, { steps: { '10-a.sh': step('a') } })
  if (pi === undefined) return
  runSteps(pi)
  lay(pi.fat, { 'secrets/password-hash': 'new', 'firstboot.d/20-b.sh': step('b') })
  const ended = runSteps(pi)
  assert.equal(ended.status, 0, ended.output)
  assert.deepEqual(ran(pi), ['a', 'a', 'b'])
  assert.equal(readRoot(pi, 'etc/piimage/secrets/password-hash'), 'new')
})

test('cloud-init is retired: no seed with secrets, its identity kept, off at the next boot', (t) => {
  const pi = installed(t, {})
  if (pi === undefined) return
  lay(pi.boot, {
    'user-data':
      '#cloud-config\npasswd: $6$salt$PASSWORDHASH\nruncmd:\n- [ sh, /boot/firmware/piimage/install.sh ]\n',
    'network-config': 'access-points: {home: {password: WIFI-PSK}}\n',
    'meta-data': 'instance-id: piimage-1\n',
  })
  lay(pi.root, { 'run/cloud-init/result.json': '{}' })
  runSteps(pi)
  assert.equal(readFileSync(join(pi.boot, 'user-data'), 'utf8'), '#cloud-config\n')
  assert.equal(readFileSync(join(pi.boot, 'network-config'), 'utf8'), '#cloud-config\n')
  assert.equal(readFileSync(join(pi.boot, 'meta-data'), 'utf8'), 'instance-id: piimage-1\n')
  assert.ok(existsSync(join(pi.root, 'etc/cloud/cloud-init.disabled')))
})

test('a new seed on a card whose cloud-init was retired is applied by it, after a reboot', (t) => {
  const pi = installed(t, { steps: { '10-a.sh': step('a') } })
  if (pi === undefined) return
  const seed = { 'user-data': '#cloud-config\nruncmd:\n- [ sh, /boot/firmware/piimage/install.sh ]\n' }
  lay(pi.boot, seed)
  runSteps(pi)
  lay(pi.boot, seed)
  lay(pi.fat, { 'secrets/password-hash': 'new' })
  assert.equal(runSteps(pi).status, 0)
  assert.ok(calls(pi).includes('systemctl reboot'))
  assert.ok(!existsSync(join(pi.root, 'etc/cloud/cloud-init.disabled')))
  assert.deepEqual(ran(pi), ['a'])
})

test("somebody else's cloud-init seed is left alone", (t) => {
  const pi = installed(t, {})
  if (pi === undefined) return
  lay(pi.boot, { 'user-data': '#cloud-config\nhostname: mine\n' })
  runSteps(pi)
  assert.equal(readFileSync(join(pi.boot, 'user-data'), 'utf8'), '#cloud-config\nhostname: mine\n')
  assert.ok(!existsSync(join(pi.root, 'etc/cloud/cloud-init.disabled')))
})

test('a FAT that is gone does not stop the steps', (t) => {
  const pi = installed(t, { steps: { '10-a.sh': step('a') } })
  if (pi === undefined) return
  rmSync(pi.boot, { recursive: true })
  const ended = runSteps(pi)
  assert.equal(ended.status, 0, ended.output)
  assert.deepEqual(ran(pi), ['a'])
})
