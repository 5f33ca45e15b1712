import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { Node } from '../../src/cluster/node.ts'
import { bootFilesOf } from '../../src/customise/boot-files.ts'
import { parseUserData } from '../../src/customise/cloud-init.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { stockFiles } from './stock.ts'

const image = { key: 'k', version: 'v', arch: 'armhf' } as const

async function planned(system: string, overrides: Partial<Node> = {}, files = stockFiles(system)) {
  const node = makeNode(overrides)
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const plan = await planBoot({
    cluster: makeCluster([node]),
    node,
    image,
    boot: bootFilesOf(files),
    overlays,
    keys,
  })
  const text = (path: string) =>
    Buffer.from(plan.files.find((file) => file.path === path)?.after ?? []).toString()
  return { plan, text }
}

test('a cluster file without a user keeps the one of the image, also in a second plan', async () => {
  const files = stockFiles('hypriotos-1.12.3')
  const nobody: Partial<Node> = { overlays: [use('hostname')] }
  for (const round of ['first', 'second']) {
    const { plan, text } = await planned('hypriotos-1.12.3', { ...nobody, name: round }, files)
    const [user] = parseUserData(text('user-data'), 'user-data').users as {
      name: string
      plain_text_passwd: string
    }[]
    assert.equal(user?.name, 'pirate')
    assert.equal(user?.plain_text_passwd, 'hypriot')
    for (const { path, after } of plan.files) if (after !== null) files.set(path, after)
  }
})

test('the user of the cluster file takes the place of the image’s', async () => {
  const { text } = await planned('hypriotos-1.12.3')
  const data = parseUserData(text('user-data'), 'user-data')
  assert.deepEqual(
    (data.users as { name: string }[]).map(({ name }) => name),
    ['ops'],
  )
  assert.equal(data.package_upgrade, false)
  assert.deepEqual((data.runcmd as unknown[]).at(-1), ['sh', '/boot/piimage/install.sh'])
})

test('1.12.1 and later: network-config without the network: key; the steps of before leave it alone', async () => {
  const { plan, text } = await planned('hypriotos-1.12.3')
  const config = parse(text('network-config'))
  assert.equal(config.version, 1)
  assert.equal(config.network, undefined)
  assert.equal(config.config[0].subnets[0].address, '172.19.181.1/24')
  assert.ok(!plan.files.some(({ path }) => path.includes('network.sh')))
  const before = await planned('hypriotos-1.9.0')
  assert.ok(before.plan.files.some(({ path }) => path === 'piimage/early.d/35-network.sh'))
  assert.ok(!before.plan.files.some(({ path }) => path === 'network-config'))
})

test('no ds= on the command line: the seed is found by a link in the image', async () => {
  const { text } = await planned('hypriotos-1.9.0')
  assert.doesNotMatch(text('cmdline.txt'), /ds=/)
  assert.match(text('meta-data'), /^instance-id: "piimage-oneil-[0-9a-f]{12}"\n$/)
})

test('before 1.7: device-init keeps what else it says', async () => {
  const { text } = await planned('hypriotos-1.0.0')
  assert.deepEqual(parse(text('device-init.yaml')), { hostname: 'oneil', wifi: { interfaces: {} } })
  assert.match(text('cmdline.txt'), / init=\/bin\/bash -c "/)
})
