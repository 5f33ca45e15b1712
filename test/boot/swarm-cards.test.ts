/**
 * A cluster formed before any card is written: `piimage boot --all`, run by a
 * user who may do nothing on this machine, starts a head and a worker on one
 * network. With no hand on them they install Docker from an archive that the
 * cluster file names, and are one swarm.
 *
 * Slow, see first-boot.test.ts; needs the packages that
 * test/fixtures/arm64-debs.gen.sh downloads. It prints how long things took.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { freePort } from '../../src/emulator/network.ts'
import { packageRoot } from '../../src/package-root.ts'
import { attachLoopDevice, detachLoopDevice } from '../support/loop.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { BOOT, IMAGE, makeClusterFolder, passwordHash } from './flashed-card.ts'
import { type LocalArchive, makeLocalArchive } from './local-archive.ts'

/** Debian's `nobody`. */
const NOBODY = 65534
/** Where guests look for a gateway, and find this machine. */
const GATEWAY = '172.19.181.254'
const nodes = { hammond: '172.19.181.1', oneil: '172.19.181.2' }
type Name = keyof typeof nodes

const clusterFile = ({ fingerprint }: LocalArchive, site: string): string => `cluster: sgc
image: ${IMAGE}
user: { name: ops, sshKeys: [id_ed25519.pub], passwordHash: '${passwordHash}' }
network: { cidr: 172.19.181.0/24, gateway: ${GATEWAY}, domain: sgc.lan }
overlays:
  - ssh
  - cgroups
  - archive
  - docker: { mirror: '${site}', key: archive.asc, fingerprint: ${fingerprint}, group: true }
join: { kind: swarm, head: hammond }
nodes:
  hammond: { model: pi4, address: ${nodes.hammond}/24 }
  oneil: { model: pi3b+, address: ${nodes.oneil}/24, labels: { room: attic } }
`

/** An overlay of the person's own: where the distribution's packages come from. */
function writeArchiveOverlay(folder: string, archive: LocalArchive, site: string): void {
  const overlay = join(folder, 'overlays', 'archive')
  mkdirSync(overlay, { recursive: true })
  cpSync(archive.key, join(folder, 'archive.asc'))
  cpSync(archive.key, join(overlay, 'archive.asc'))
  const source = `deb [signed-by=/etc/apt/keyrings/archive.asc] ${site}/debian trixie stable`
  writeFileSync(
    join(overlay, 'overlay.yaml'),
    `name: archive
summary: The distribution's packages come from our own network
edits:
  - file: { on: root, path: /etc/apt/keyrings/archive.asc, from: archive.asc }
  - file: { on: root, path: /etc/apt/sources.list, content: "${source}\\n" }
`,
  )
}

/** The fixture's root is full and does not grow by itself as Raspberry Pi OS's does. */
function growRoot(image: string): void {
  truncateSync(image, 1.25 * 2 ** 30)
  const tried = [run('sfdisk', ['-q', '-N', '2', image], { input: ',+\n' })]
  const loop = attachLoopDevice(image, { offset: BOOT.offset + BOOT.length, directIo: false })
  tried.push(run('e2fsck', ['-fp', loop]), run('resize2fs', [loop]))
  detachLoopDevice(loop)
  for (const { status, stdout, stderr } of tried) assert.equal(status, 0, `${stdout}${stderr}`)
}

/** The line that opens each node, by name. */
type Opened = ReadonlyMap<string, string>

const ask = (opened: Opened, name: Name, command: string) => {
  const [program = '', ...words] = opened.get(name)?.split(' ') ?? []
  return run(program, [...words, command])
}

function said(opened: Opened, name: Name, command: string): string {
  const ran = ask(opened, name, command)
  assert.equal(ran.status, 0, `${name}: ${command}: ${ran.stderr}`)
  return ran.stdout.trim()
}

/** One swarm of two, as the cluster file has it, and nothing left of what was good for joining. */
function assertFormed(opened: Opened, site: string): void {
  const shown = said(
    opened,
    'hammond',
    `docker node inspect -f '{{.Description.Hostname}} {{.Status.State}} {{.Status.Addr}} {{.Spec.Role}}{{range $k, $v := .Spec.Labels}} {{$k}}={{$v}}{{end}}' $(docker node ls -q)`,
  )
  assert.deepEqual(shown.split('\n').sort(), [
    `hammond ready ${nodes.hammond} manager arch=arm64`,
    `oneil ready ${nodes.oneil} worker arch=arm64 room=attic`,
  ])
  assert.equal(ask(opened, 'hammond', 'getent passwd piimage-join').status, 2, 'the broker is gone')
  assert.equal(said(opened, 'oneil', 'sudo find /etc/piimage/secrets -name "join-key*"'), '')
  assert.ok(said(opened, 'oneil', 'cat /etc/apt/sources.list.d/docker.sources').includes(`${site}/`))
  for (const name of Object.keys(nodes) as Name[]) {
    assert.equal(
      said(opened, name, 'docker info -f "{{.Driver}} {{.Swarm.LocalNodeState}}"'),
      'overlay2 active',
    )
    assert.equal(
      said(
        opened,
        name,
        'sudo grep -rlE "SWMTKN-[12]-[0-9a-z]{10}" /boot/firmware /var/lib/piimage /opt/piimage /var/log || true',
      ),
      '',
    )
  }
}

function needed(t: TestContext): { image: string; debs: string } | undefined {
  const image = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  const debs = needEnv(t, 'PIIMAGE_DOCKER_DEBS', 'no packages of Docker')
  if (image === undefined || debs === undefined || !needRoot(t)) return undefined
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['setpriv', 'util-linux'],
    ['mcopy', 'mtools'],
    ['resize2fs', 'e2fsprogs'],
    ['sfdisk', 'fdisk'],
    ['gpg', 'gnupg'],
    ['python3', 'python3'],
    ['ssh', 'openssh-client'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return undefined
  return { image, debs }
}

test('a head and a worker, started from the command line without root, become a swarm', async (t) => {
  const need = needed(t)
  if (need === undefined) return
  const children: ChildProcess[] = []
  const folder = tempFolder(t, () => {
    for (const child of children) child.kill('SIGKILL')
  })
  const archive = makeLocalArchive(need.debs, join(folder, 'archive'))
  const port = await freePort()
  const site = `http://${GATEWAY}:${port}`
  makeClusterFolder(need.image, folder, 'cloud-init', clusterFile(archive, site), growRoot)
  writeArchiveOverlay(folder, archive, site)
  assert.equal(run('chown', ['-R', '-h', `${NOBODY}:${NOBODY}`, folder]).status, 0)
  const server = ['-m', 'http.server', '--bind', '127.0.0.1', '--directory', archive.folder, String(port)]
  children.push(spawn('python3', server, { stdio: 'ignore' }))

  const asNobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--no-new-privs']
  const cli = join(packageRoot(), 'build/src/cli.js')
  const words = ['boot', '--all', '--net', '--keep', '--json', '--timeout', '40']
  const piimage = spawn('setpriv', [...asNobody, process.execPath, cli, ...words], {
    cwd: folder,
    env: { ...process.env, HOME: folder, TMPDIR: folder, PIIMAGE_CACHE: join(folder, 'cache') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(piimage)
  const ended = once(piimage, 'exit')
  const opened = new Map<string, string>()
  const booted: Record<string, unknown>[] = []
  for await (const line of createInterface({ input: piimage.stdout })) {
    const { event, ...told } = JSON.parse(line) as Record<string, unknown>
    if (event === 'boot-step') t.diagnostic(`${told.node}: ${told.seconds} s: ${told.step}`)
    if (event === 'booted') booted.push(told)
    if (event === 'kept') opened.set(String(told.node), String(told.ssh))
    if (opened.size === Object.keys(nodes).length) break
  }
  for (const { node, checks, problem } of booted)
    t.diagnostic(`${node}: ${problem ?? 'yes'}: ${JSON.stringify(checks)}`)
  assert.deepEqual(booted.map(({ node, ok }) => [node, ok]).sort(), [
    ['hammond', true],
    ['oneil', true],
  ])
  assertFormed(opened, site)
  piimage.kill('SIGINT')
  assert.deepEqual(await ended, [0, null])
  const left = readdirSync(folder).filter((name) => name.startsWith('piimage-boot-'))
  assert.deepEqual(left, [], 'nothing is left of the run')
})
