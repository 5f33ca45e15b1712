/**
 * A cluster formed before any card is written: `piimage boot --all`, run by a
 * user who may do nothing on this machine, where there is no loop device, starts a head and a worker on one
 * network. With no hand on them they install Docker from an archive that the
 * cluster file names, and are one swarm.
 *
 * Slow, see first-boot.test.ts; needs the packages that
 * test/fixtures/arm64-debs.gen.sh downloads. It prints how long things took.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePort } from '../../src/emulator/network.ts'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { attachLoopDevice, detachLoopDevice } from '../support/loop.ts'
import { giveToNobody } from '../support/nobody.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { BOOT, IMAGE, makeClusterFolder, noSecretsOn, passwordHash } from './flashed-card.ts'
import { bootAndKeep, type KeptRun } from './kept-run.ts'
import { type LocalArchive, makeLocalArchive } from './local-archive.ts'

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

/** One swarm of two, as the cluster file has it, and nothing left of what was good for joining. */
function assertFormed({ ask, said }: KeptRun, site: string): void {
  const shown = said(
    'hammond',
    `docker node inspect -f '{{.Description.Hostname}} {{.Status.State}} {{.Status.Addr}} {{.Spec.Role}}{{range $k, $v := .Spec.Labels}} {{$k}}={{$v}}{{end}}' $(docker node ls -q)`,
  )
  assert.deepEqual(shown.split('\n').sort(), [
    `hammond ready ${nodes.hammond} manager arch=arm64`,
    `oneil ready ${nodes.oneil} worker arch=arm64 room=attic`,
  ])
  assert.equal(ask('hammond', 'getent passwd piimage-join').status, 2, 'the broker is gone')
  assert.equal(said('oneil', 'sudo find /etc/piimage/secrets -name "join-key*"'), '')
  assert.ok(said('oneil', 'cat /etc/apt/sources.list.d/docker.sources').includes(`${site}/`))
  for (const name of Object.keys(nodes) as Name[]) {
    assert.equal(said(name, 'docker info -f "{{.Driver}} {{.Swarm.LocalNodeState}}"'), 'overlay2 active')
    assert.equal(
      said(
        name,
        'sudo grep -rlE "SWMTKN-[12]-[0-9a-z]{10}" /boot/firmware /var/lib/piimage /opt/piimage /var/log || true',
      ),
      '',
    )
  }
}

/** On the throw-away cards, which are as real ones would be by then. */
async function assertNothingSecretLeft({ said, file }: KeptRun, folder: string): Promise<void> {
  const key = await readClusterKey(join(folder, 'cluster.key'))
  for (const name of Object.keys(nodes) as Name[]) {
    said(name, 'sync')
    noSecretsOn(file(name, 'card.img'), [passwordHash, sshHostKey(key, name).privateKey.reveal()])
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
  let server: ChildProcess | undefined
  const folder = tempFolder(t, () => void server?.kill())
  const archive = makeLocalArchive(need.debs, join(folder, 'archive'))
  const port = await freePort()
  const site = `http://${GATEWAY}:${port}`
  makeClusterFolder(need.image, folder, 'cloud-init', clusterFile(archive, site), growRoot)
  writeArchiveOverlay(folder, archive, site)
  giveToNobody(folder)
  const serve = ['-m', 'http.server', '--bind', '127.0.0.1', '--directory', archive.folder, String(port)]
  server = spawn('python3', serve, { stdio: 'ignore' })

  let lines = 0
  const onConsole = (line: string) => {
    lines += 1
    assert.doesNotMatch(line, /SWMTKN-/)
  }
  const options = { folder, count: 2, nobody: true, onConsole }
  await bootAndKeep(t, ['--all', '--net', '--timeout', '40'], options, async (run) => {
    assert.deepEqual(run.booted.map(({ node, ok }) => [node, ok]).sort(), [
      ['hammond', true],
      ['oneil', true],
    ])
    assert.ok(lines > 100, 'the consoles were heard')
    assertFormed(run, site)
    await assertNothingSecretLeft(run, folder)
  })
})
