import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import type { ClusterHat, Node } from '../../src/cluster/node.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { reconfigure, roleHandedOver } from './reconfig-clusterctrl.ts'
import { stockFiles } from './stock.ts'

const image = { key: 'k', version: 'v', arch: 'armhf' } as const

const slotNode = (clusterHat: ClusterHat): Node =>
  makeNode({
    clusterHat,
    interfaces: [{ name: 'usb0', address: { ip: '172.19.181.7', prefix: 24 }, dns: [] }],
  })

async function planRole(
  system: string,
  clusterHat: ClusterHat,
  files = stockFiles(system),
  node = slotNode(clusterHat),
) {
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  return planBoot({ cluster: makeCluster([node]), node, image, boot: bootFilesOf(files), overlays, keys })
}

const cmdlineOf = (plan: Awaited<ReturnType<typeof planRole>>): string =>
  Buffer.from(plan.files.find(({ path }) => path === 'cmdline.txt')?.after ?? []).toString()

const roles: [ClusterHat, string][] = [
  [{ role: 'cnat' }, 'cnat'],
  [{ role: 'cbridge' }, 'cbridge'],
  [{ role: 'slot', slot: 1 }, 'p1'],
  [{ role: 'slot', slot: 252 }, 'p252'],
]
const generations: [system: string, ownInit: string, boot: string][] = [
  ['clusterctrl-buster', '/usr/lib/raspi-config/init_resize.sh', '/boot'],
  ['clusterctrl-bullseye', '/usr/lib/raspberrypi-sys-mods/firstboot', '/boot'],
  ['clusterctrl-bookworm', '/usr/lib/raspberrypi-sys-mods/firstboot', '/boot/firmware'],
]
for (const [system, ownInit, boot] of generations) {
  for (const [clusterHat, role] of roles) {
    test(`${system} becomes ${role}, and its first boot leaves what is ours`, async () => {
      const node = makeNode({
        clusterHat,
        overlays: ['hostname', 'user', 'ssh', 'cgroups', 'gpu-mem'].map((name) => use(name)),
      })
      const files = stockFiles(system)
      const plan = await planRole(system, clusterHat, files, node)
      for (const { path, after } of plan.files) if (after !== null) files.set(path, after)
      const text = (path: string) => Buffer.from(files.get(path) ?? []).toString()
      const before = { cmdline: text('cmdline.txt'), config: text('config.txt') }
      assert.equal(roleHandedOver(before.cmdline), role)

      const after = reconfigure(before, ownInit)
      assert.doesNotMatch(after.cmdline, /reconfig|cnat|cbridge| p\d/)
      assert.ok(
        after.cmdline.endsWith(
          ` systemd.run=${boot}/piimage/install.sh systemd.run_success_action=reboot systemd.run_failure_action=reboot systemd.unit=kernel-command-line.target init=${ownInit}\n`,
        ),
        after.cmdline,
      )
      assert.match(after.cmdline, / cgroup_enable=memory /)
      // All of the image's own but the role, and all of ours.
      const isRole = (token: string) => token === role || token.includes('reconfig-clusterctrl')
      assert.deepEqual(
        after.cmdline
          .trim()
          .split(' ')
          .filter((token) => token !== `init=${ownInit}`),
        before.cmdline
          .trim()
          .split(' ')
          .filter((token) => !isRole(token)),
      )
      assert.match(after.config, /\n# BEGIN piimage\n\[all\]\ngpu_mem=16\n# END piimage\n/)
      const device = after.config.split('\n').filter((line) => line === 'dtoverlay=dwc2,dr_mode=peripheral')
      assert.equal(device.length, clusterHat.role === 'slot' ? 1 : 0)
    })
  }
}

test('usb-gadget is refused beside a role: the image loads dwc2 by itself', async () => {
  const slot: ClusterHat = { role: 'slot', slot: 3 }
  const node = makeNode({ model: 'zerow', clusterHat: slot, overlays: [use('usb-gadget')] })
  await assert.rejects(planRole('clusterctrl-bookworm', slot, undefined, node), /needs usb-device-port/)
})

test('another role over an image that has not booted yet', async () => {
  const files = stockFiles('clusterctrl-bookworm')
  const first = await planRole('clusterctrl-bookworm', { role: 'slot', slot: 3 }, files)
  for (const { path, after } of first.files) if (after !== null) files.set(path, after)
  const second = cmdlineOf(await planRole('clusterctrl-bookworm', { role: 'cnat' }, files))
  assert.equal(second, cmdlineOf(await planRole('clusterctrl-bookworm', { role: 'cnat' })))
})

test('a card that has booted is still known, and its role is not promised', async () => {
  const files = stockFiles('clusterctrl-bookworm')
  const first = await planRole('clusterctrl-bookworm', { role: 'slot', slot: 3 }, files)
  for (const { path, after } of first.files) if (after !== null) files.set(path, after)
  files.set('cmdline.txt', Buffer.from('console=tty1 root=PARTUUID=2f8a6c11-02 rootwait\n'))
  const plan = await planRole('clusterctrl-bookworm', { role: 'slot', slot: 4 }, files)
  assert.equal(plan.os.family, 'clusterctrl')
  assert.match(plan.warnings.join(), /role stays as it is.*p4/)
})

test('addresses that follow from the role are left to the image', async () => {
  const plan = await planRole('clusterctrl-bookworm', { role: 'slot', slot: 7 })
  assert.deepEqual(
    plan.files.filter(({ path }) => path.includes('network')).map(({ path }) => path),
    [],
  )
})
