/**
 * What piimage starts, it starts without a secret in its arguments or its
 * environment, where others could read it. Seen by a spy in the place of every
 * program; ssh's says what a cluster would.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { standInProgram } from '../support/program.ts'
import { DEMO_IMAGE, demoProject } from '../support/project.ts'
import { laySpies } from '../support/spy.ts'
import { needTool } from '../support/tools.ts'
import { PASSPHRASE, PASSWORD, secretsOf } from './secrets-of.ts'

const TOKEN = `SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)}`
const ADMIN_KEY = 'YWRtaW5pc3RyYXRvcg=='

/** What nodes answer, by what they are asked. */
const SSH = `#!/bin/sh
for last; do :; done
case $last in
  *'join-token -q worker') echo ${TOKEN} ;;
  *k3s.yaml*) cat <<CONFIG
clusters: [{ name: default, cluster: { server: "https://127.0.0.1:6443" } }]
contexts: [{ name: default, context: { cluster: default, user: default } }]
current-context: default
users: [{ name: default, user: { client-key-data: ${ADMIN_KEY} } }]
CONFIG
  ;;
  *firstboot*) echo 'firstboot {"step":"firstboot","state":"done","time":"","detail":""}' ;;
  *LocalNodeState*) printf '%s\\n' 'swarm inactive' 'swarm-node ' ;;
  *) cat >/dev/null ;;
esac
`

const clusterFile = (kind: string, overlay: string) => `cluster: sgc
image: ${DEMO_IMAGE}
user: { name: ops, sshKeys: ['${makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop').publicLine}'], passwordFile: ops.password }
network: { cidr: 10.3.50.0/24 }
overlays: [ssh, ${overlay}]
join: { kind: ${kind}, head: hammond }
nodes:
  hammond:
    model: pi4
    address: 10.3.50.1/24
    wifi: { ssid: attic, passphraseFile: attic.wifi, country: DE }
  oneil: { model: pi4, address: 10.3.50.11/24 }
`

function spiedProject(t: TestContext, kind: string, overlay: string) {
  const made = demoProject(t)
  writeFileSync(made.file('cluster.yaml'), clusterFile(kind, overlay))
  writeFileSync(made.file('ops.password'), `${PASSWORD}\n`, { mode: 0o600 })
  writeFileSync(made.file('attic.wifi'), `${PASSPHRASE}\n`, { mode: 0o600 })
  writeFileSync(made.file('k3s-arm64'), standInProgram('v1.33.4+k3s1'))
  mkdirSync(made.file('stand-ins'))
  writeFileSync(made.file('stand-ins/ssh'), SSH, { mode: 0o755 })
  laySpies({
    folder: made.file('spy'),
    seen: made.file('seen'),
    standIns: { folder: made.file('stand-ins'), names: ['ssh'] },
  })
  const piimage = (...args: string[]) => {
    const cli = join(packageRoot(), 'build/src/cli.js')
    const ran = spawnSync(process.execPath, [cli, ...args, '--cache', made.file('cache')], {
      cwd: made.folder,
      encoding: 'utf8',
      env: { PATH: made.file('spy'), HOME: made.folder },
    })
    assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stderr}`)
    return `${ran.stdout}${ran.stderr}`
  }
  const assertClean = (said: string) => {
    const seen = existsSync(made.file('seen')) ? readFileSync(made.file('seen'), 'utf8') : ''
    const secrets = new Map([
      ...secretsOf(made),
      ['the swarm token', TOKEN],
      ["the administrator's key", ADMIN_KEY],
    ])
    for (const [what, secret] of secrets) {
      assert.ok(!seen.includes(secret), `${what} is an argument, or in an environment`)
      assert.ok(!said.includes(secret), `${what} is said`)
    }
    return seen
  }
  return { made, piimage, assertClean }
}

test('plan, flash, bake, inspect and every export that asks nobody', (t) => {
  if (needTool(t, 'xz', 'xz-utils') === undefined) return
  const { piimage, assertClean } = spiedProject(t, 'k3s', 'k3s: { binary: k3s-arm64 }')
  const said = [
    piimage('plan', '--all'),
    piimage('flash', '--node', 'hammond=a.img', '--node', 'oneil=b.img', '--yes'),
    piimage('inspect', 'a.img', '--check'),
    piimage('bake', '--all', '-o', 'out', '--format', 'xz'),
    ...['ssh-config', 'known-hosts', 'ansible', 'hosts'].map((format) => piimage('export', format)),
  ]
  assertClean(said.join('\n'))
})

test('export kubeconfig, status', (t) => {
  const { made, piimage, assertClean } = spiedProject(t, 'k3s', 'k3s: { binary: k3s-arm64 }')
  const seen = assertClean(`${piimage('export', 'kubeconfig', '-o', 'kubeconfig')}${piimage('status')}`)
  assert.match(seen, /^ssh .*k3s\.yaml/m, 'the spy sees what is started')
  assert.ok(readFileSync(made.file('kubeconfig'), 'utf8').includes(ADMIN_KEY))
})

test('join: the token goes through standard input alone', (t) => {
  const { piimage, assertClean } = spiedProject(t, 'swarm', 'docker')
  const said = piimage('join')
  assert.match(said, /oneil is in the swarm/)
  assert.match(assertClean(said), /^ssh .*oneil read -r token/m)
})
