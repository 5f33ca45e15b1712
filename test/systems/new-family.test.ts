/** A system that piimage has never heard of: what its file says is enough for a card and for a root on a server. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { bootFilesOf, bytesOf, readText } from '../../src/boot/boot-files.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { planServed } from '../../src/customise/plan-served.ts'
import { planNetroot } from '../../src/netroot/plan.ts'
import type { DetectedOs } from '../../src/node/system.ts'
import { packageRoot } from '../../src/package-root.ts'
import type { OsFamily } from '../../src/systems/family.ts'
import { debianRoot } from '../../src/systems/root/debian.ts'
import { scriptedSettings } from '../../src/systems/scripted.ts'
import { startBySystemdRun } from '../../src/systems/start.ts'
import { keys, makeCluster, makeNode, PASSWORD_HASH, use } from '../customise/cluster.ts'

const describe = (release: string, evidence: string): DetectedOs => ({
  family: 'abydos',
  release,
  evidence: [evidence],
  traits: { cloudInit: false, kernel: 6 },
  bootMount: '/boot/firmware',
  trigger: 'systemd.run',
})

/** All that there is to write for it. */
const abydos: OsFamily = {
  name: 'abydos',
  releases: ['1'],
  async recognise(boot) {
    const text = await readText(boot, 'abydos.conf')
    return text === undefined ? undefined : describe('1', 'abydos.conf')
  },
  assume: async (_boot, release) => describe(release, 'given by hand'),
  settle: async (state, { os }) => scriptedSettings(state, os),
  start: startBySystemdRun,
  served: {
    ...debianRoot,
    systemFiles: [...debianRoot.systemFiles, 'abydos.conf'],
    kernel: (tokens) => debianRoot.kernel(tokens).filter((token) => token !== 'abydos.grow'),
  },
}

const stock = bootFilesOf(
  new Map(
    Object.entries({
      'cmdline.txt': 'console=tty1 root=LABEL=chappaai rootwait abydos.grow\n',
      'config.txt': 'arm_64bit=1\n',
      'abydos.conf': 'gate=1\n',
    }).map(([path, text]) => [path, bytesOf(text)]),
  ),
)
const serverInterface = { name: 'eth0', address: { ip: '172.19.181.1', prefix: 24 }, dns: [] }
const second = { name: 'eth1', address: { ip: '10.9.0.1', prefix: 24 }, dns: [] }
const node = makeNode({
  interfaces: [serverInterface, second],
  overlays: ['hostname', 'user', 'ssh', 'static-network', 'cgroups'].map((name) => use(name)),
})
const cluster = makeCluster([node])
const image = { key: 'abydos-arm64@1', version: '1', arch: 'arm64' } as const

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})
const request = () => ({ cluster, node, image, boot: stock, overlays, keys, families: [abydos] })

test('on a card: its first boot is started by the command line', async () => {
  const { os, files } = await planBoot(request())
  assert.deepEqual(os, describe('1', 'abydos.conf'))
  const text = (path: string) =>
    Buffer.from(files.find((file) => file.path === path)?.after ?? []).toString('utf8')
  assert.equal(
    text('cmdline.txt'),
    'console=tty1 root=LABEL=chappaai rootwait abydos.grow cgroup_enable=memory ' +
      'systemd.run=/boot/firmware/piimage/install.sh systemd.run_success_action=reboot ' +
      'systemd.run_failure_action=reboot systemd.unit=kernel-command-line.target\n',
  )
  assert.match(text('piimage/network/eth0.network'), /Address=172\.19\.181\.1\/24/)
  assert.equal(text('piimage/secrets/password-hash'), PASSWORD_HASH)
})

test('on a server: the same node, its root over NFS, nothing of a card', async () => {
  const system = await planServed(request(), 'eth0')
  const { nodes } = planNetroot({
    cluster,
    stateFolder: '/srv/piimage/sgc',
    server: { ip: '172.19.181.254', prefix: 24, interface: 'eth0' },
    rootMode: 'copy',
    nodes: [
      {
        node,
        image: {
          key: image.key,
          sha256: 'ab'.repeat(32),
          root: {
            has: (path) => path === '/etc/NetworkManager',
            text: (path) => (path === '/etc/fstab' ? 'LABEL=chappaai / ext4 defaults 0 1\n' : ''),
            target: () => '',
          },
        },
        system,
        identity: {
          name: node.name,
          machineId: '0'.repeat(32),
          hostKey: { privateKey: 'k', publicLine: 'p' },
        },
      },
    ],
    earlier: new Map(),
    others: [],
  })
  const [plan] = nodes
  assert.ok(plan !== undefined)
  const cmdline = Buffer.from(plan.boot.files.get('cmdline.txt') ?? []).toString('utf8')
  assert.match(cmdline, /^console=tty1 cgroup_enable=memory root=\/dev\/nfs nfsroot=\S+ rw ip=/)
  assert.doesNotMatch(cmdline, /LABEL|abydos|systemd/)
  assert.ok(plan.boot.without.has('abydos.conf'))
  assert.deepEqual([...plan.boot.files.keys()], ['cmdline.txt', 'config.txt'])

  const root = new Map(plan.root.map((edit) => [edit.path, edit]))
  const text = (path: string) => {
    const edit = root.get(path)
    return edit?.kind === 'file' ? Buffer.from(edit.content).toString('utf8') : undefined
  }
  assert.equal(text('/etc/fstab'), '')
  assert.equal(text('/etc/hostname'), 'oneil\n')
  assert.ok(root.has('/etc/NetworkManager/conf.d/90-piimage-netroot.conf'))
  const payload = '/boot/firmware/piimage'
  assert.ok(!root.has(`${payload}/network/eth0.network`), 'the kernel has set that address')
  assert.match(text(`${payload}/network/eth1.network`) ?? '', /Address=10\.9\.0\.1\/24/)
  assert.equal(text(`${payload}/secrets/password-hash`), PASSWORD_HASH)
  assert.equal(
    root.get('/etc/systemd/system/multi-user.target.wants/piimage-firstboot.service')?.kind,
    'link',
  )
})

test('what first boot does is the same on both, but for the address that the kernel sets', async () => {
  const onCard = (await planBoot(request())).files.flatMap(({ path, after }) =>
    path.startsWith('piimage/') ? [[path, Buffer.from(after ?? []).toString('utf8')] as const] : [],
  )
  const served = [...(await planServed(request(), 'eth0')).firstBoot].flatMap(([path, content]) =>
    path.startsWith('piimage/') ? [[path, Buffer.from(content).toString('utf8')] as const] : [],
  )
  const others = (files: typeof served) =>
    Object.fromEntries(files.filter(([path]) => !path.startsWith('piimage/network/')))
  assert.deepEqual(others(served), others(onCard))
})

test('a system that nobody knows is still refused', async () => {
  await assert.rejects(planBoot({ ...request(), families: undefined }), /no known system/)
  await assert.rejects(planBoot({ ...request(), os: 'abydos-2' }), /no system "abydos-2"/)
})
