import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  calls,
  type FakePi,
  lay,
  modeOf,
  readRoot,
  type ShellName,
  shells,
  snapshot,
  stub,
} from './fake-pi.ts'
import { note, runningLib, type StepPi, type System, serveDownloads, stepPi, zero } from './step.ts'

const program = '#!/bin/sh\necho k3s\n'
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex')
const VERSION = 'v1.33.4+k3s1'
const MIRROR = 'https://mirror.example/k3s'

/** What the overlay and the materials lay on a card, for the head or a worker. */
function k3sPi(
  t: TestContext,
  role: 'head' | 'worker',
  options: { shell?: ShellName; system?: System } = {},
): StepPi | undefined {
  const secrets: Record<string, string> =
    role === 'head'
      ? { 'cluster-ca-key': 'CA-KEY\n', 'k3s-token': 'SERVER\n', 'k3s-agent-password': 'AGENT\n' }
      : { 'k3s-agent-token': 'K10digest::node:AGENT\n' }
  secrets['k3s-node-password'] = 'PASSWORD\n'
  const made = stepPi(t, 'k3s', {
    ...options,
    files: {
      ...Object.fromEntries(
        Object.entries(secrets).map(([name, text]) => [`etc/piimage/secrets/${name}`, text]),
      ),
      'opt/piimage/material/cluster-ca': 'CA\n',
      'etc/piimage/k3s.sha256': `${digestOf(program)}  k3s-arm64\n`,
      [`etc/systemd/system/${role === 'head' ? 'k3s' : 'k3s-agent'}.service`]: '[Service]\n',
    },
    env: {
      PIIMAGE_ROLE: role,
      PIIMAGE_K3S_VERSION: VERSION,
      PIIMAGE_K3S_MIRROR: MIRROR,
      PIIMAGE_K3S_HEAD_ADDRESS: '10.3.50.1',
    },
  })
  if (made !== undefined) serveDownloads(made.pi, program)
  return made
}

const fetched = (pi: FakePi) => calls(pi).filter((call) => call.startsWith('apt-helper'))

for (const shell of shells) {
  test(`k3s on the head under ${shell}: program, authority, tokens; and again the same`, (t) => {
    const made = k3sPi(t, 'head', { shell })
    if (made === undefined) return
    const { pi, step } = made
    const ended = step()
    assert.equal(ended.status, 0, ended.output)
    assert.equal(readRoot(pi, 'usr/local/bin/k3s'), program)
    assert.equal(modeOf(pi, 'usr/local/bin/k3s'), '755')
    assert.match(fetched(pi).join('\n'), /^apt-helper download-file \S+\/v1\.33\.4%2Bk3s1\/k3s-arm64 \S+$/)
    const tls = 'var/lib/rancher/k3s/server/tls'
    const secret = {
      [`${tls}/server-ca.key`]: 'CA-KEY\n',
      'etc/rancher/k3s/token': 'SERVER\n',
      'etc/rancher/k3s/agent-token': 'AGENT\n',
      'etc/rancher/node/password': 'PASSWORD\n',
    }
    for (const [path, text] of Object.entries(secret)) {
      assert.equal(readRoot(pi, path), text)
      assert.equal(modeOf(pi, path), '600')
    }
    assert.equal(readRoot(pi, `${tls}/server-ca.crt`), 'CA\n')
    assert.equal(modeOf(pi, tls), '700')
    for (const name of ['cluster-ca-key', 'k3s-token', 'k3s-agent-password'])
      assert.ok(!existsSync(join(pi.root, 'etc/piimage/secrets', name)), name)
    assert.ok(calls(pi).some((call) => call.endsWith('enable k3s.service')))
    const before = snapshot(pi.root)
    assert.equal(step().status, 0)
    assert.deepEqual(snapshot(pi.root), before)
    assert.equal(fetched(pi).length, 1)
  })

  test(`k3s on a worker under ${shell}: a token that names the head's authority, no key of it`, (t) => {
    const made = k3sPi(t, 'worker', { shell })
    if (made === undefined) return
    const { pi, step } = made
    const ended = step()
    assert.equal(ended.status, 0, ended.output)
    assert.equal(readRoot(pi, 'etc/rancher/k3s/token'), 'K10digest::node:AGENT\n')
    assert.equal(modeOf(pi, 'etc/rancher/k3s/token'), '600')
    assert.equal(readRoot(pi, 'etc/rancher/node/password'), 'PASSWORD\n')
    assert.equal(modeOf(pi, 'etc/rancher/node/password'), '600')
    assert.ok(!existsSync(join(pi.root, 'var/lib/rancher')))
    const before = snapshot(pi.root)
    assert.equal(step().status, 0)
    assert.deepEqual(snapshot(pi.root), before)
  })
}

test('k3s: another program than the one with that digest is not kept', (t) => {
  const made = k3sPi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  lay(pi.root, { served: `${program}# changed\n` })
  const ended = step()
  assert.equal(ended.status, 1)
  assert.match(ended.output, /k3s-arm64 that was fetched is not the one with the digest/)
  assert.ok(!existsSync(join(pi.root, 'usr/local/bin/k3s')))
  assert.ok(!existsSync(join(pi.root, 'var/cache/piimage/k3s-arm64')))
  lay(pi.root, { served: program })
  assert.equal(step().status, 0)
})

test('k3s without internet: the program on the card, if it is whole; another one takes its place', (t) => {
  const made = k3sPi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  const carry = (text: string, digest = digestOf(text)) =>
    lay(pi.root, { 'opt/piimage/k3s/k3s': text, 'opt/piimage/k3s/k3s.sha256': `${digest}  k3s\n` })
  carry(program, digestOf('something else'))
  const damaged = step()
  assert.equal(damaged.status, 1)
  assert.match(damaged.output, /k3s on the card is damaged: make the card again/)
  carry(program)
  assert.equal(step().status, 0)
  assert.deepEqual(fetched(pi), [])
  carry(`${program}# newer\n`)
  assert.equal(step().status, 0)
  assert.equal(readRoot(pi, 'usr/local/bin/k3s'), `${program}# newer\n`)
})

test('k3s: no network is said, and the next attempt succeeds', (t) => {
  const made = k3sPi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  stub(pi, 'apt-helper', 'echo "E: Could not resolve" >&2; exit 100')
  const ended = step()
  assert.equal(ended.status, 1)
  assert.match(ended.output, /k3s-arm64 could not be fetched: no way to the archive: is there a network/)
  stub(pi, 'apt-helper', `cp '${pi.root}/served' "$3"`)
  assert.equal(step().status, 0)
})

test('k3s: what never works is given up at once', (t) => {
  const old = k3sPi(t, 'worker', { system: zero })
  const bare = k3sPi(t, 'worker')
  if (old === undefined || bare === undefined) return
  assert.deepEqual([old.step().status, fetched(old.pi)], [78, []])
  assert.match(old.step().output, /no k3s for ARMv6/)
  lay(bare.pi.root, { 'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io pids\n' })
  const ended = bare.step()
  assert.equal(ended.status, 78)
  assert.match(ended.output, /no memory control group/)
})

test('k3s: too little room is seen before anything is fetched', (t) => {
  const made = k3sPi(t, 'head')
  if (made === undefined) return
  stub(made.pi, 'df', "echo; echo 'x 1 1 102400 1% /var'")
  assert.match(made.step().output, /k3s needs 300 MB, and 100 MB are free/)
  assert.deepEqual(fetched(made.pi), [])
})

test('k3s: a secret that is gone is said, and nothing is started', (t) => {
  const made = k3sPi(t, 'worker')
  if (made === undefined) return
  rmSync(join(made.pi.root, 'etc/piimage/secrets/k3s-agent-token'))
  const ended = made.step()
  assert.equal(ended.status, 1)
  assert.match(ended.output, /\/etc\/rancher\/k3s\/token is missing/)
  assert.ok(!calls(made.pi).some((call) => call.endsWith('k3s-agent.service')))
})

test('k3s: a head that knows the name with another password is told apart from one that is not up', (t) => {
  const made = k3sPi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  stub(pi, 'systemctl', `${note(pi)}; case $* in *is-active*) exit 3 ;; esac`)
  stub(
    pi,
    'journalctl',
    'echo "level=info msg=\\"Waiting to retrieve agent configuration; server is not ready: Node password rejected, duplicate hostname or contents of \'/etc/rancher/node/password\' may not match server node-passwd entry\\""',
  )
  const ended = step(runningLib(pi))
  assert.equal(ended.status, 75, ended.output)
  assert.match(
    ended.output,
    /with another password: on the head, sudo k3s kubectl -n kube-system delete secret/,
  )
})

test('k3s: a worker waits for its head without limit, a head that stays down has failed', (t) => {
  for (const role of ['worker', 'head'] as const) {
    const made = k3sPi(t, role)
    if (made === undefined) return
    const { pi, step } = made
    const env = runningLib(pi)
    stub(pi, 'systemctl', `${note(pi)}; case $* in *is-active*) exit 3 ;; esac`)
    const ended = step(env)
    assert.equal(ended.status, role === 'worker' ? 75 : 1, ended.output)
    assert.match(
      ended.output,
      role === 'worker' ? /the head \(10\.3\.50\.1\) has not taken/ : /does not come up/,
    )
    stub(pi, 'systemctl', note(pi))
    const joined = step(env)
    assert.equal(joined.status, 0, joined.output)
    assert.match(joined.output, /this node is in the cluster/)
  }
})
