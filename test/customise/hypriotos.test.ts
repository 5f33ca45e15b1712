import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import { parseUserData } from '../../src/boot/cloud-init.ts'
import type { Node } from '../../src/cluster/node.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { Secret } from '../../src/secret.ts'
import { keys, makeCluster, makeNode, PSK, use } from './cluster.ts'
import { stockFiles } from './stock.ts'

const image = { key: 'k', version: 'v', arch: 'armhf' } as const

const downloadOf = (checked: string) => ({
  size: null,
  sha256: '',
  source: { kind: 'user' as const, checked },
})

async function planned(
  system: string,
  overrides: Partial<Node> = {},
  files = stockFiles(system),
  checked?: string,
) {
  const node = makeNode(overrides)
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const plan = await planBoot({
    cluster: makeCluster([node]),
    node,
    image: checked === undefined ? image : { ...image, download: downloadOf(checked) },
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

test('what the image itself does on its first boot is not taken away without a word', async () => {
  const stock = Buffer.from(stockFiles('hypriotos-1.12.3').get('user-data') ?? []).toString()
  const lost = async (more: string, overrides: Partial<Node> = {}) => {
    const files = stockFiles('hypriotos-1.12.3', { 'user-data': stock + more })
    return (await planned('hypriotos-1.12.3', overrides, files)).plan.warnings.filter((warning) =>
      /user-data/.test(warning),
    )
  }
  const replaced = (keys: string) => [`the image's own user-data is replaced (${keys})`]
  // Host name, accounts and updates are said anew.
  assert.deepEqual(await lost('package_upgrade: false\nssh_pwauth: true\n'), [])
  assert.deepEqual(await lost("runcmd:\n- 'systemctl restart avahi-daemon'\n"), replaced('runcmd'))
  assert.deepEqual(await lost('packages: [ntp]\nbootcmd: [true]\n'), replaced('packages, bootcmd'))
  assert.deepEqual(await lost('', { overlays: [use('user')] }), replaced('hostname, manage_etc_hosts'))
})

test('the image’s own clock is not put forward without a word', async () => {
  const clock = 'fake-hwclock.data'
  const warned = async (stock: string, checked?: string) => {
    const files = stockFiles('hypriotos-1.12.3', { [clock]: stock })
    const { plan } = await planned('hypriotos-1.12.3', {}, files, checked)
    return plan.warnings.filter((warning) => warning.includes(clock))
  }
  assert.deepEqual(await warned('2020-07-02 14:17:05\n', '2026-11-20'), [
    `the image's own ${clock} is replaced (2020-07-02 14:17:05 → 2026-11-20 00:00:00)`,
  ])
  assert.deepEqual(await warned('2027-01-01 08:00:00\n', '2026-11-20'), [])
  assert.deepEqual(await warned('', '2026-11-20'), [])
  assert.deepEqual(await warned('2020-07-02 14:17:05\n'), [])
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

test('the clock starts on the latest day that is known, and never goes back', async () => {
  const clock = 'fake-hwclock.data'
  const changed = async (stock: string | undefined, checked?: string) => {
    const files = stockFiles('hypriotos-1.12.3', { [clock]: stock })
    const { plan, text } = await planned('hypriotos-1.12.3', {}, files, checked)
    return plan.files.some(({ path }) => path === clock) ? text(clock) : undefined
  }
  assert.equal(await changed('2020-07-02 14:17:05\n', '2026-11-20'), '2026-11-20 00:00:00\n')
  assert.equal(await changed('', '2026-11-20'), '2026-11-20 00:00:00\n')
  // A card that has run knows better.
  assert.equal(await changed('2027-01-01 08:00:00\n', '2026-11-20'), undefined)
  assert.equal(await changed('2020-07-02 14:17:05\n'), undefined)
  // Images before 1.12.0 do not read it.
  assert.equal(await changed(undefined, '2026-11-20'), undefined)
})

test('the 64-bit image of 2018 is told by its device, too', async () => {
  const osRelease = 'HYPRIOT_DEVICE="Raspberry Pi 3 64bit"\nHYPRIOT_IMAGE_VERSION="v20180429-184538"\n'
  const { plan } = await planned(
    'hypriotos-arm64',
    {},
    stockFiles('hypriotos-arm64', { 'os-release': osRelease }),
  )
  assert.equal(plan.os.release, 'arm64')
})

for (const system of ['hypriotos-1.9.0', 'hypriotos-arm64', 'hypriotos-1.12.3']) {
  test(`${system}: Wi-Fi goes to ifupdown, its key to the secrets`, async () => {
    const wifi = { ssid: 'Cheyenne Mountain', psk: new Secret(PSK), country: 'US', hidden: false }
    const radio = {
      name: 'wlan0',
      address: { ip: '192.168.7.2', prefix: 24, gateway: '192.168.7.1' },
      dns: [],
    }
    const overlays = ['wifi', 'static-network'].map((name) => use(name))
    const { plan, text } = await planned(system, { wifi, overlays, interfaces: [radio] })
    assert.match(
      text('piimage/files.list'),
      /^0644 root root \/etc\/network\/interfaces\.d\/wlan0 files\/000$/m,
    )
    assert.match(
      text('piimage/files/000'),
      /^allow-hotplug wlan0\niface wlan0 inet static\n {2}address 192\.168\.7\.2\n/,
    )
    assert.match(text('piimage/files/000'), /wpa-conf \/etc\/wpa_supplicant\/wpa_supplicant\.conf/)
    assert.match(text('piimage/secrets/network/wpa_supplicant.conf'), new RegExp(`psk=${PSK}`))
    assert.match(text('config.txt'), /^enable_uart=0$/m)
    assert.ok(!plan.files.some(({ path }) => path.startsWith('piimage/network/')))
  })
}
