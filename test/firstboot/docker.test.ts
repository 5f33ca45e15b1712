import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { calls, type FakePi, lay, readRoot, shells, snapshot, stub } from './fake-pi.ts'
import { aptCalls, bringsProgram, note, pi4, readyPi, runStep, type System, zero } from './step.ts'

const script = readFileSync(join(packageRoot(), 'firstboot/steps/docker.sh'), 'utf8')
const rule = /^docker_source\(\) \{\n[\s\S]*?^\}\n/m.exec(script)?.[0] ?? ''

/** What the boards and releases are like, and where each gets Docker from. */
const sources: [cpu: string, architecture: string, id: string, codename: string, source: string][] = [
  ['armv6l', 'armhf', 'raspbian', 'buster', 'pinned raspbian'],
  ['armv6l', 'armhf', 'raspbian', 'bullseye', 'pinned raspbian'],
  ['armv6l', 'armhf', 'raspbian', 'bookworm', 'pinned raspbian'],
  ['armv6l', 'armhf', 'raspbian', 'trixie', 'distribution'],
  ['armv6l', 'armhf', 'debian', 'trixie', 'distribution'],
  ['armv7l', 'armhf', 'raspbian', 'buster', 'docker raspbian'],
  ['armv7l', 'armhf', 'raspbian', 'bookworm', 'docker raspbian'],
  ['armv7l', 'armhf', 'raspbian', 'trixie', 'docker debian'],
  ['armv7l', 'armhf', 'debian', 'bookworm', 'docker debian'],
  // A 64-bit kernel below a 32-bit system.
  ['aarch64', 'armhf', 'raspbian', 'bookworm', 'docker raspbian'],
  ['aarch64', 'arm64', 'debian', 'bullseye', 'docker debian'],
  ['aarch64', 'arm64', 'debian', 'bookworm', 'docker debian'],
  ['aarch64', 'arm64', 'debian', 'trixie', 'docker debian'],
  ['aarch64', 'arm64', 'ubuntu', 'jammy', 'docker ubuntu'],
  ['aarch64', 'arm64', 'ubuntu', 'resolute', 'docker ubuntu'],
  ['armv7l', 'armhf', 'ubuntu', 'noble', 'docker ubuntu'],
  ['armv6l', 'armhf', 'raspbian', 'stretch', 'none Docker has no packages for stretch'],
  ['armv5tel', 'armel', 'debian', 'bookworm', 'none Docker has no packages for armel'],
]
for (const shell of shells) {
  test(`docker_source under ${shell}`, (t) => {
    const program = needTool(t, shell, shell)
    if (program === undefined) return
    assert.notEqual(rule, '')
    for (const [cpu, architecture, id, codename, source] of sources) {
      const args = [...(shell === 'busybox' ? ['sh'] : []), '-euc', `${rule}docker_source "$@"`, 'sh']
      const ran = run(program, [...args, cpu, architecture, id, codename])
      assert.equal(ran.stdout, `${source}\n`, `${cpu} ${codename} ${ran.stderr}`)
    }
  })
}

const environment = {
  PIIMAGE_DOCKER_SOURCE: 'auto',
  PIIMAGE_DOCKER_MIRROR: 'https://download.docker.com',
  PIIMAGE_DOCKER_FINGERPRINT: '0'.repeat(40),
}

/** A key of our own, and its fingerprint. */
function makeKey(t: TestContext): { key: string; fingerprint: string } | undefined {
  if (needTool(t, 'gpg', 'gpg') === undefined) return undefined
  const home = tempFolder(t, () => run('gpgconf', ['--homedir', home, '--kill', 'all']))
  const gpg = (...args: string[]) => {
    const ran = run('gpg', ['--homedir', home, '--batch', '--passphrase', '', ...args])
    assert.equal(ran.status, 0, ran.stderr)
    return ran.stdout
  }
  gpg('--quick-gen-key', 'archive', 'ed25519', 'sign', 'never')
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg('--with-colons', '--list-keys'))?.[1] ?? ''
  return { key: gpg('--armor', '--export'), fingerprint }
}

/** A Pi that can have Docker from its archive. */
function archivePi(t: TestContext, system: System, shell: (typeof shells)[number] = 'dash') {
  const made = makeKey(t)
  const pi = readyPi(t, system, { shell })
  if (pi === undefined || made === undefined) return undefined
  lay(pi.root, { 'opt/piimage/docker/key.asc': made.key, 'lib/systemd/system/docker.service': '' })
  stub(pi, 'apt-get', `${note(pi)}\n${bringsProgram(pi, 'docker-ce', 'docker', 'dockerd')}`)
  return { pi, env: { ...environment, PIIMAGE_DOCKER_FINGERPRINT: made.fingerprint } }
}

for (const shell of shells) {
  test(`docker from its archive under ${shell}: key, source, packages; and again the same`, (t) => {
    const ready = archivePi(t, pi4, shell)
    if (ready === undefined) return
    const { pi, env } = ready
    const ended = runStep(pi, 'docker', env)
    assert.equal(ended.status, 0, ended.output)
    assert.equal(
      readRoot(pi, 'etc/apt/sources.list.d/docker.sources'),
      `Types: deb
URIs: https://download.docker.com/linux/debian
Suites: bookworm
Components: stable
Architectures: arm64
Signed-By: /etc/apt/keyrings/docker.asc
`,
    )
    assert.match(readRoot(pi, 'etc/apt/keyrings/docker.asc'), /BEGIN PGP PUBLIC KEY/)
    assert.ok(!existsSync(join(pi.root, 'etc/apt/preferences.d/docker.pref')))
    assert.deepEqual(aptCalls(pi), [
      'update',
      'install --no-install-recommends docker-ce docker-ce-cli containerd.io',
    ])
    const before = snapshot(pi.root)
    const asked = aptCalls(pi)
    assert.equal(runStep(pi, 'docker', env).status, 0)
    assert.deepEqual(snapshot(pi.root), before)
    assert.deepEqual(aptCalls(pi), asked)
  })
}

test('docker on a Zero: Raspbian packages, held at the last that run there', (t) => {
  const ready = archivePi(t, zero)
  if (ready === undefined) return
  assert.equal(runStep(ready.pi, 'docker', ready.env).status, 0)
  assert.match(readRoot(ready.pi, 'etc/apt/sources.list.d/docker.sources'), /linux\/raspbian\n/)
  assert.match(readRoot(ready.pi, 'etc/apt/preferences.d/docker.pref'), /Pin: version 5:28\.0\.1\*/)
})

test('docker: another key than the one that is named is not used', (t) => {
  const ready = archivePi(t, pi4)
  if (ready === undefined) return
  const ended = runStep(ready.pi, 'docker', environment)
  assert.equal(ended.status, 1)
  assert.match(ended.output, /the archive's key is not 0{40}/)
  assert.ok(!existsSync(join(ready.pi.root, 'etc/apt/keyrings/docker.asc')))
  assert.deepEqual(aptCalls(ready.pi), [])
})

test('docker: a second key smuggled in behind the right one is not used', (t) => {
  const ready = archivePi(t, pi4)
  const second = makeKey(t)
  if (ready === undefined || second === undefined) return
  const path = 'opt/piimage/docker/key.asc'
  lay(ready.pi.root, { [path]: readRoot(ready.pi, path) + second.key })
  const ended = runStep(ready.pi, 'docker', ready.env)
  assert.equal(ended.status, 1)
  assert.match(ended.output, /keys:2/)
})

test('docker on a Zero with trixie: the distribution, with its command line', (t) => {
  const pi = readyPi(t, { ...zero, codename: 'trixie' })
  if (pi === undefined) return
  stub(pi, 'apt-get', `${note(pi)}\n${bringsProgram(pi, 'docker.io', 'docker', 'dockerd')}`)
  stub(pi, 'apt-cache', 'echo Package: docker-cli')
  assert.equal(runStep(pi, 'docker', environment).status, 0)
  assert.deepEqual(aptCalls(pi), [
    'update',
    'install --no-install-recommends docker.io docker-cli iptables ca-certificates',
  ])
})

test('docker: an image that brings it gets none; the user joins the group where that is wanted', (t) => {
  const pi = readyPi(t, { ...zero, codename: 'buster' })
  if (pi === undefined) return
  for (const name of ['docker', 'dockerd']) stub(pi, name, ':')
  lay(pi.root, { 'etc/group': 'docker:x:999:\n' })
  const env = { ...environment, PIIMAGE_DOCKER_GROUP: 'true' }
  assert.equal(runStep(pi, 'docker', env).status, 0)
  assert.deepEqual(aptCalls(pi), [])
  assert.ok(calls(pi).includes(`usermod -R ${pi.root} -aG docker ops`))
  lay(pi.root, { 'etc/group': 'docker:x:999:ops\n' })
  const asked = calls(pi).length
  assert.equal(runStep(pi, 'docker', env).status, 0)
  assert.equal(calls(pi).filter((call) => call.startsWith('usermod')).length, 1, String(asked))
})

/** A Pi with one package in the payload. */
function offlinePi(t: TestContext): FakePi | undefined {
  const pi = readyPi(t)
  if (pi === undefined) return undefined
  const digest = createHash('sha256').update('package').digest('hex')
  lay(pi.root, {
    'opt/piimage/docker/debs/docker-ce.deb': 'package',
    'opt/piimage/docker/debs/SHA256SUMS': `${digest}  docker-ce.deb\n`,
  })
  return pi
}

test('docker without internet: the packages of the payload, and only if they are whole', (t) => {
  const pi = offlinePi(t)
  if (pi === undefined) return
  stub(
    pi,
    'apt-get',
    `${note(pi)}; for name in docker dockerd; do cp '${pi.bin}/apt-cache' '${pi.bin}/'$name; done`,
  )
  const debs = join(pi.root, 'opt/piimage/docker/debs')
  lay(debs, { 'docker-ce.deb': 'pack4ge' })
  const damaged = runStep(pi, 'docker', environment)
  assert.equal(damaged.status, 1)
  assert.match(damaged.output, /damaged: make the card again/)
  assert.deepEqual(aptCalls(pi), [])
  lay(debs, { 'docker-ce.deb': 'package' })
  const ended = runStep(pi, 'docker', environment)
  assert.equal(ended.status, 0, ended.output)
  assert.deepEqual(aptCalls(pi), [`install --no-install-recommends ${debs}/docker-ce.deb`])
})

/** What lies on the disk. */
const withoutRun = (files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).filter(([path]) => !/^run(\/|$)/.test(path)))

test('docker: too little room is seen before anything is fetched', (t) => {
  const ready = archivePi(t, pi4)
  if (ready === undefined) return
  stub(ready.pi, 'df', "echo; echo 'x 1 1 102400 1% /var'")
  const before = snapshot(ready.pi.root)
  const ended = runStep(ready.pi, 'docker', ready.env)
  assert.match(ended.output, /Docker needs 500 MB, and 100 MB are free/)
  assert.deepEqual(withoutRun(snapshot(ready.pi.root)), withoutRun(before))
})

test('docker: a release without packages is given up at once', (t) => {
  const pi = readyPi(t, { ...zero, codename: 'stretch' })
  if (pi === undefined) return
  const ended = runStep(pi, 'docker', environment)
  assert.equal(ended.status, 78)
  assert.match(ended.output, /no packages for stretch/)
})

test('docker: a kernel without the memory control group is a warning', (t) => {
  const ready = archivePi(t, pi4)
  if (ready === undefined) return
  lay(ready.pi.root, { 'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io pids\n' })
  const ended = runStep(ready.pi, 'docker', ready.env)
  assert.equal(ended.status, 0)
  assert.match(ended.output, /warning: the kernel has no memory control group/)
})
