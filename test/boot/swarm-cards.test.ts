/**
 * From power-on to a swarm, with no hand on it: a head's and a worker's card,
 * flashed by piimage, boot on a virtual switch, install Docker from an archive
 * that the cluster file names, and are one swarm.
 *
 * Slow, see first-boot.test.ts; needs the packages that
 * test/fixtures/arm64-debs.gen.sh downloads. It prints how long things took.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { attachLoopDevice, detachLoopDevice } from '../support/loop.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { loadFromCard, slot } from './booted-card.ts'
import { BOOT, flashNode, IMAGE, makeClusterFolder, noSecretsOn, passwordHash } from './flashed-card.ts'
import { Guest } from './guest.ts'
import { type LocalArchive, makeLocalArchive } from './local-archive.ts'
import { VirtualSwitch } from './virtual-switch.ts'

const SWITCH = '172.19.181.254'
const nodes = { hammond: '172.19.181.1', oneil: '172.19.181.2' }
type Name = keyof typeof nodes

const clusterFile = ({ fingerprint }: LocalArchive): string => `cluster: sgc
image: ${IMAGE}
user: { name: ops, sshKeys: [id_ed25519.pub], passwordHash: '${passwordHash}' }
network: { cidr: 172.19.181.0/24, gateway: ${SWITCH}, domain: sgc.lan }
overlays:
  - ssh
  - cgroups
  - archive
  - docker: { mirror: 'http://${SWITCH}', key: archive.asc, fingerprint: ${fingerprint}, group: true }
join: { kind: swarm, head: hammond }
nodes:
  hammond: { model: pi4, address: ${nodes.hammond}/24 }
  oneil: { model: pi3b+, address: ${nodes.oneil}/24, labels: { room: attic } }
`

/** An overlay of the person's own: where the distribution's packages come from. */
function writeArchiveOverlay(folder: string, archive: LocalArchive): void {
  const overlay = join(folder, 'overlays', 'archive')
  mkdirSync(overlay, { recursive: true })
  cpSync(archive.key, join(folder, 'archive.asc'))
  cpSync(archive.key, join(overlay, 'archive.asc'))
  const source = `deb [signed-by=/etc/apt/keyrings/archive.asc] http://${SWITCH}/debian trixie stable`
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

/** Seconds from power-on to each step of the first boot, by the node's own history; its clock is this machine's. */
async function stepsOf(guest: Guest, poweredOn: number): Promise<Record<string, number>> {
  const began: Record<string, number> = {}
  for (const line of (await said(guest, 'cat /var/lib/piimage/history')).split('\n')) {
    const [time = '', step = '', state = ''] = line.split(' ')
    const at = Math.round((Date.parse(time) - poweredOn) / 1000)
    if (state === 'running') began[step] ??= at
    if (state === 'done') began[`${step} done`] = at
  }
  return began
}

async function said(guest: Guest | undefined, command: string): Promise<string> {
  const ran = await guest?.ssh(command)
  assert.equal(ran?.status, 0, `${command}: ${ran?.stderr}`)
  return ran?.stdout.trim() ?? ''
}

/** One swarm of two, as the cluster file has it, and nothing left of what was good for joining. */
async function assertFormed(guests: ReadonlyMap<Name, Guest>): Promise<void> {
  const { hammond, oneil } = { hammond: guests.get('hammond'), oneil: guests.get('oneil') }
  const shown = await said(
    hammond,
    `docker node inspect -f '{{.Description.Hostname}} {{.Status.State}} {{.Status.Addr}} {{.Spec.Role}}{{range $k, $v := .Spec.Labels}} {{$k}}={{$v}}{{end}}' $(docker node ls -q)`,
  )
  assert.deepEqual(shown.split('\n').sort(), [
    `hammond ready ${nodes.hammond} manager arch=arm64`,
    `oneil ready ${nodes.oneil} worker arch=arm64 room=attic`,
  ])
  assert.equal((await hammond?.ssh('getent passwd piimage-join'))?.status, 2, 'the broker is gone')
  assert.equal(await said(oneil, 'sudo find /etc/piimage/secrets -name "join-key*"'), '')
  assert.match(
    await said(oneil, 'cat /etc/apt/sources.list.d/docker.sources'),
    new RegExp(`http://${SWITCH}/`),
  )
  for (const guest of guests.values()) {
    assert.match(
      await said(guest, 'docker info -f "{{.Driver}} {{.Swarm.LocalNodeState}}"'),
      /^overlay2 active$/,
    )
    assert.equal(
      await said(
        guest,
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
    ['mcopy', 'mtools'],
    ['resize2fs', 'e2fsprogs'],
    ['sfdisk', 'fdisk'],
    ['gpg', 'gnupg'],
    ['python3', 'python3'],
    ['ip', 'iproute2'],
    ['ssh', 'openssh-client'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return undefined
  return { image, debs }
}

test('a head and a worker, flashed and switched on, become a swarm by themselves', async (t) => {
  const need = needed(t)
  if (need === undefined) return
  const guests = new Map<Name, Guest>()
  let plugs: VirtualSwitch | undefined
  const folder = tempFolder(t, () => {
    for (const guest of guests.values()) guest.kill()
    plugs?.close()
  })
  const archive = makeLocalArchive(need.debs, join(folder, 'archive'))
  makeClusterFolder(need.image, folder, 'cloud-init', clusterFile(archive), growRoot)
  writeArchiveOverlay(folder, archive)
  const lan = new VirtualSwitch(`${SWITCH}/24`)
  plugs = lan
  lan.serve(join(folder, 'archive.log'), 'python3', [
    ...['-m', 'http.server', '--bind', SWITCH, '--directory', archive.folder, '80'],
  ])

  const secrets: Partial<Record<Name, string[]>> = {}
  for (const [name, host] of Object.entries(nodes) as [Name, string][]) {
    const made = await flashNode(folder, name)
    secrets[name] = made.secrets
    const own = join(folder, name)
    const mac = `52:54:00:12:34:0${host.at(-1)}`
    guests.set(
      name,
      new Guest({
        ...made,
        folder: own,
        user: 'ops',
        host,
        port: 22,
        devices: [...slot(made.card), ...lan.plug(mac)],
        firmware: () => loadFromCard(made.card, own),
        netns: lan.netns,
      }),
    )
  }
  const poweredOn = Date.now()
  for (const guest of guests.values()) guest.start()
  const seconds = () => Math.round((Date.now() - poweredOn) / 1000)
  try {
    await Promise.all(
      [...guests].map(async ([name, guest]) => {
        await guest.waitForSsh()
        t.diagnostic(`${name}: ssh after ${seconds()} s`)
        await guest.waitForConsole(new RegExp(`piimage: ${name}: firstboot done`), 1_500_000)
        t.diagnostic(`${name}: first boot done after ${seconds()} s`)
      }),
    )
    for (const [name, guest] of guests)
      t.diagnostic(`${name}: ${JSON.stringify(await stepsOf(guest, poweredOn))}`)
    await assertFormed(guests)
    await Promise.all([...guests.values()].map((guest) => guest.shutdown()))
    for (const [name, guest] of guests) {
      assert.doesNotMatch(guest.console(), /SWMTKN-/)
      noSecretsOn(join(folder, `${name}.img`), secrets[name] ?? [])
    }
  } finally {
    for (const [name, guest] of guests) {
      guest.kill()
      if (process.env.PIIMAGE_KEEP_CONSOLE !== undefined)
        writeFileSync(`${process.env.PIIMAGE_KEEP_CONSOLE}-${name}.log`, guest.console())
    }
  }
})
