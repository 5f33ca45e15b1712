import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ClusterHat } from '../../src/cluster/node.ts'
import { bootFilesOf } from '../../src/customise/boot-files.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode } from './cluster.ts'
import { stockFiles } from './stock.ts'

const image = { key: 'k', version: 'v', arch: 'armhf' } as const

async function planRole(system: string, clusterHat: ClusterHat, files = stockFiles(system)) {
  const node = makeNode({
    clusterHat,
    interfaces: [{ name: 'usb0', address: { ip: '172.19.181.7', prefix: 24 }, dns: [] }],
  })
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
for (const [clusterHat, role] of roles) {
  test(`one image becomes ${role}, and its first boot leaves what is ours`, async (t) => {
    if (needTool(t, 'sed', 'sed') === undefined) return
    const line = cmdlineOf(await planRole('clusterctrl-bookworm', clusterHat))
    assert.match(line, new RegExp(` init=/usr/sbin/reconfig-clusterctrl ${role} `))
    const file = join(tempFolder(t), 'cmdline.txt')
    writeFileSync(file, line)
    // What the image's script does to the line, once.
    for (const name of ['cbridge', 'cnat', 'p[0-9]\\+']) {
      assert.equal(run('sed', ['-i', `s# init=/usr/sbin/reconfig-clusterctrl ${name}##`, file]).status, 0)
    }
    run('sed', ['-i', 's#$# init=/usr/lib/raspi-config/init_resize.sh#', file])
    const rewritten = readFileSync(file, 'utf8')
    assert.doesNotMatch(rewritten, /reconfig|cnat|cbridge| p\d/)
    assert.match(
      rewritten,
      / systemd\.run=\/boot\/firmware\/piimage\/install\.sh .* init=\/usr\/lib\/raspi-config\/init_resize\.sh\n$/,
    )
  })
}

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
