import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { parse } from 'yaml'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import { parseUserData } from '../../src/boot/cloud-init.ts'
import type { Node } from '../../src/cluster/node.ts'
import { describeBootPlan } from '../../src/customise/describe-boot-plan.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { type BootPlan, planBoot } from '../../src/customise/plan-boot.ts'
import { RECEIPT_FILE } from '../../src/customise/receipt.ts'
import { FormatError, UsageError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { Secret } from '../../src/secret.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode, PASSWORD_HASH, PRIVATE_KEY, PSK, use } from './cluster.ts'
import { assertGolden, withoutDigest } from './golden.ts'
import { type Files, stock, stockFiles } from './stock.ts'

const image = { key: 'raspios-trixie-arm64-lite@2025-12-04', version: '2025-12-04', arch: 'arm64' } as const
let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([
    join(packageRoot(), 'test/customise/fixtures/overlays'),
    join(packageRoot(), 'overlays'),
  ])
})

const plan = (files: Files, node: Node = makeNode(), os?: string): Promise<BootPlan> =>
  planBoot({
    cluster: makeCluster([node], { folder: join(packageRoot(), 'test/customise/fixtures') }),
    node,
    image,
    boot: bootFilesOf(files),
    overlays,
    keys,
    ...(os === undefined ? {} : { os }),
  })

/** The partition after the plan was carried out. */
function applied(files: Files, { files: changes }: BootPlan): Files {
  const result = new Map(files)
  for (const { path, after } of changes) {
    if (after === null) result.delete(path)
    else result.set(path, after)
  }
  return result
}

const textOf = (files: Files | BootPlan, path: string): string => {
  const bytes = files instanceof Map ? files.get(path) : files.files.find((file) => file.path === path)?.after
  assert.ok(bytes, `${path} is there`)
  return Buffer.from(bytes).toString('utf8')
}

/** A digest follows the instance-id. */
const withoutDigests = (receipt: string): string => receipt.replaceAll(/"[0-9a-f]{64}"/g, '"<digest>"')

const wifi = { ssid: 'Cheyenne Mountain', psk: new Secret(PSK), country: 'US', hidden: false }
const allOverlays = ['hostname', 'user', 'ssh', 'locale', 'static-network', 'wifi', 'gpu-mem', 'cgroups']
const variants: Record<string, Partial<Node>> = {
  static: {},
  wifi: {
    interfaces: [{ name: 'eth0', dns: [] }],
    wifi,
    overlays: ['hostname', 'user', 'ssh', 'wifi'].map((name) => use(name)),
  },
  all: {
    wifi,
    overlays: [...allOverlays.map((name) => use(name)), use('motd', { text: "it's 100% $(fun)" })],
  },
}

/** Overlays that only some systems can have. */
const someVariants: { name: string; systems: (system: string) => boolean; node: Partial<Node> }[] = [
  {
    name: 'gadget',
    // Nothing of Ubuntu's runs on a Zero W.
    systems: (system) => !/^(?:clusterctrl|ubuntu)/.test(system),
    node: {
      model: 'zerow',
      interfaces: [{ name: 'usb0', address: { ip: '172.19.181.1', prefix: 24 }, dns: [] }],
      overlays: ['usb-gadget', 'static-network'].map((name) => use(name)),
    },
  },
  {
    name: 'cloud-init',
    systems: (system) => system === 'trixie' || /^hypriotos-(?!1\.0)/.test(system),
    node: {
      overlays: [
        use('hostname'),
        use('cloud-init', { 'user-data': { packages: ['vim'] }, file: 'own-user-data' }),
      ],
    },
  },
]

for (const system of Object.keys(stock)) {
  const some = someVariants.filter(({ systems }) => systems(system))
  const all = { ...variants, ...Object.fromEntries(some.map(({ name, node }) => [name, node])) }
  for (const [name, overrides] of Object.entries(all)) {
    test(`${system}, ${name}: the files are the golden ones`, async () => {
      assertGolden(`${system}/${name}`, await plan(stockFiles(system), makeNode(overrides)))
    })
  }

  test(`${system}: the same plan over its own result changes nothing`, async () => {
    const node = makeNode(variants.all)
    const once = applied(stockFiles(system), await plan(stockFiles(system), node))
    const twice = await plan(once, node)
    assert.deepEqual(
      twice.files.map(({ path }) => path),
      [],
    )
  })

  test(`${system}: another node over it leaves nothing of the first`, async () => {
    const first = makeNode(variants.all)
    const second = makeNode({ name: 'carter', overlays: ['hostname', 'user'].map((name) => use(name)) })
    const reused = applied(stockFiles(system), await plan(stockFiles(system), first))
    const result = applied(reused, await plan(reused, second))
    const fresh = applied(stockFiles(system), await plan(stockFiles(system), second))
    const listed = (files: Files) =>
      Object.fromEntries(
        [...files].map(([path, bytes]) => [path, withoutDigest(Buffer.from(bytes).toString())]),
      )
    const [left, right] = [listed(result), listed(fresh)]
    for (const files of [left, right]) files[RECEIPT_FILE] = withoutDigests(files[RECEIPT_FILE] ?? '')
    assert.deepEqual(left, right)
  })

  test(`${system}: secrets are where they may be, and never shown`, async () => {
    const result = await plan(stockFiles(system), makeNode(variants.all))
    const shown = describeBootPlan(result)
    for (const secret of [PASSWORD_HASH, PSK, PRIVATE_KEY, ...PRIVATE_KEY.split('\n').slice(1, 2)]) {
      assert.ok(!shown.includes(secret))
    }
    for (const { path, after } of result.files) {
      const text = Buffer.from(after ?? []).toString('latin1')
      const isSecret = path.startsWith('piimage/secrets/')
      assert.ok(isSecret || !text.includes('OPENSSH PRIVATE KEY'), path)
      assert.ok(isSecret || path === 'user-data' || !text.includes(PASSWORD_HASH), path)
      assert.ok(isSecret || path === 'network-config' || !text.includes(PSK), path)
    }
    for (const secret of [PASSWORD_HASH, PSK]) assert.ok(result.secrets.includes(secret))
  })

  test(`${system}: every script passes sh -n, the variables come back`, async (t) => {
    if (needTool(t, 'dash', 'dash') === undefined) return
    const folder = tempFolder(t)
    const result = await plan(stockFiles(system), makeNode(variants.all))
    for (const { path, after } of result.files) {
      if (after === null || !/\.(?:sh|env)$/.test(path)) continue
      assert.ok(!after.includes(13), `${path} has no carriage return`)
      const file = join(folder, 'script')
      writeFileSync(file, after)
      const checked = run('dash', ['-n', file])
      assert.equal(checked.status, 0, `${path}: ${checked.stderr}`)
    }
    writeFileSync(join(folder, 'node.env'), textOf(result, 'piimage/node.env'))
    const printed = run('dash', [
      '-c',
      '. "$1"; printf "%s|%s" "$PIIMAGE_NODE" "$PIIMAGE_MOTD_TEXT"',
      'sh',
      join(folder, 'node.env'),
    ])
    assert.equal(printed.stdout, "oneil|it's 100% $(fun)")
  })
}

test('trixie: user-data is what cloud-init needs', async () => {
  const result = await plan(stockFiles('trixie'))
  const data = parseUserData(textOf(result, 'user-data'), 'user-data')
  assert.equal(data.hostname, 'oneil')
  assert.equal(data.manage_etc_hosts, 'localhost')
  assert.deepEqual((data.runcmd as unknown[]).at(-1), ['sh', '/boot/firmware/piimage/install.sh'])
  const network = parse(textOf(result, 'network-config')).network
  assert.deepEqual(network.ethernets.eth0.routes, [{ to: '0.0.0.0/0', via: '172.19.181.254' }])
  assert.equal(network.ethernets.eth0.dhcp4, false)
  const id = parse(textOf(result, 'meta-data'))['instance-id']
  assert.match(id, /^piimage-oneil-[0-9a-f]{12}$/)
  assert.ok(textOf(result, 'cmdline.txt').trimEnd().endsWith(`ds=nocloud;i=${id}`))
})

test('trixie: the instance id follows the content, and nothing else', async () => {
  const idOf = async (node: Node) =>
    parse(textOf(await plan(stockFiles('trixie'), node), 'meta-data'))['instance-id']
  const base = await idOf(makeNode())
  assert.equal(await idOf(makeNode()), base)
  assert.notEqual(await idOf(makeNode({ locale: { timezone: 'Europe/Paris' } })), base)
  assert.notEqual(await idOf(makeNode({ overlays: [...makeNode().overlays, use('gpu-mem')] })), base)
})

test('trixie: raw user-data is merged last, from the cluster file and from a file', async () => {
  const merged = makeNode({
    overlays: [
      use('hostname'),
      use('ssh'),
      use('cloud-init', { 'user-data': { packages: ['vim'], hostname: 'other' }, file: 'own-user-data' }),
    ],
  })
  const data = parseUserData(textOf(await plan(stockFiles('trixie'), merged), 'user-data'), 'user-data')
  assert.equal(data.hostname, 'other')
  assert.deepEqual(data.packages, ['vim', 'htop'])
  const installer = ['sh', '/boot/firmware/piimage/install.sh']
  assert.deepEqual(data.runcmd, [
    ['env', 'PIIMAGE_FROM_UNIT=1', ...installer],
    ['systemctl', 'enable', '--now', 'ssh'],
    ['sh', '-c', 'echo from the file > $HOME/mark\n'],
    installer,
  ])
})

test('trixie: settings that somebody else put into user-data are not lost in silence', async () => {
  const files = stockFiles('trixie', { 'user-data': '#cloud-config\npackages: [vim]\n' })
  assert.match((await plan(files)).warnings.join(), /user-data is replaced \(packages\)/)
  assert.deepEqual((await plan(stockFiles('trixie'))).warnings, [])
})

test('what is recognised can be overruled, and what is unknown says what was found', async () => {
  const unknown = stockFiles('bookworm', {
    'cmdline.txt': 'root=/dev/mmcblk0p2\n',
    'config.txt': '',
    'issue.txt': '',
    'README.md': 'x',
  })
  await assert.rejects(plan(unknown), (error: FormatError) => {
    assert.ok(error instanceof FormatError)
    assert.match(error.message, /README\.md, cmdline\.txt/)
    assert.match(error.hint ?? '', /--os.*raspios-bookworm/)
    return true
  })
  assert.equal((await plan(unknown, makeNode(), 'raspios-bullseye')).os.bootMount, '/boot')
  assert.equal((await plan(unknown, makeNode({ os: 'raspios-bookworm' }))).os.bootMount, '/boot/firmware')
  await assert.rejects(plan(unknown, makeNode(), 'raspios-potato'), UsageError)
  await assert.rejects(plan(unknown, makeNode(), 'raspios'), UsageError)
  await assert.rejects(plan(new Map()), FormatError)
})

const release: [string, string, string][] = [
  ['trixie', 'trixie', 'cloud-init'],
  ['trixie-first', 'trixie', 'systemd.run'],
  ['bookworm', 'bookworm', 'systemd.run'],
  ['bullseye', 'bullseye', 'systemd.run'],
  ['bullseye-first', 'bullseye', 'systemd.run'],
  ['buster', 'buster', 'systemd.run'],
  ['stretch', 'stretch', 'init'],
  ['clusterctrl-bookworm', 'bookworm', 'systemd.run'],
  ['clusterctrl-bullseye', 'bullseye', 'systemd.run'],
  ['clusterctrl-buster', 'buster', 'systemd.run'],
  ['hypriotos-1.12.3', '1.12.1', 'cloud-init'],
  ['hypriotos-1.9.0', '1.7', 'cloud-init'],
  ['hypriotos-arm64', 'arm64', 'cloud-init'],
  ['hypriotos-1.0.0', '1.0', 'init'],
]
for (const [name, expected, trigger] of release) {
  test(`recognises ${name}`, async () => {
    const { os } = await plan(stockFiles(name))
    assert.deepEqual([os.release, os.trigger], [expected, trigger])
    assert.ok(os.evidence.length > 0)
  })
}

const wrong: { name: string; node: Partial<Node>; files?: Files; message: RegExp }[] = [
  {
    name: 'an overlay that does not exist',
    node: { overlays: [use('dokcer')] },
    message: /no overlay dokcer/,
  },
  {
    name: 'a parameter that does not exist',
    node: { overlays: [use('gpu-mem', { megabyte: 16 })] },
    message: /no megabyte here/,
  },
  {
    name: 'a parameter out of range',
    node: { overlays: [use('gpu-mem', { megabytes: 8 })] },
    message: /megabytes.*>= 16/,
  },
  {
    name: 'a parameter of the wrong type',
    node: { overlays: [use('gpu-mem', { megabytes: '16' })] },
    message: /megabytes.*integer/,
  },
  { name: 'a parameter that must be given', node: { overlays: [use('motd')] }, message: /text/ },
  {
    name: 'a line end in a parameter',
    node: { overlays: [use('motd', { text: 'a\nb' })] },
    message: /line end/,
  },
  { name: 'no user to make', node: { overlays: [use('user')], user: undefined }, message: /needs user/ },
  { name: 'no Wi-Fi to join', node: { overlays: [use('wifi')] }, message: /needs wifi/ },
  {
    name: 'cloud-init without cloud-init',
    node: { overlays: [use('cloud-init')] },
    files: stockFiles('bookworm'),
    message: /needs cloud-init/,
  },
  {
    name: 'a user-data file that is not there',
    node: { overlays: [use('cloud-init', { file: 'nope' })] },
    message: /nope cannot be read/,
  },
  {
    name: 'an address for one machine only',
    node: { interfaces: [{ name: 'eth0', address: { ip: '10.0.0.1', prefix: 32 }, dns: [] }] },
    message: /prefix \/32/,
  },
  {
    name: 'an interface that is a path',
    node: { interfaces: [{ name: '../eth0', address: { ip: '10.0.0.1', prefix: 24 }, dns: [] }] },
    message: /not a valid interface name/,
  },
  {
    name: 'a bridge where there is none',
    node: { interfaces: [{ name: 'br0', address: { ip: '10.0.0.1', prefix: 24 }, dns: [] }] },
    message: /bridge/,
  },
  {
    name: 'firmware that is not there',
    node: { overlays: [use('gpu-mem')] },
    files: stockFiles('trixie', { 'start4cd.elf': undefined }),
    message: /start4cd\.elf, and the image has none/,
  },
  {
    name: 'a gadget on a board that can be none',
    node: { model: 'pi3b+', overlays: [use('usb-gadget')] },
    message: /needs usb-device-port/,
  },
  {
    name: 'a parameter where there are none',
    node: { overlays: [use('cgroups', { memory: true })] },
    message: /no memory here/,
  },
  {
    name: 'passwords by a word',
    node: { overlays: [use('ssh', { 'password-login': 'yes' })] },
    message: /password-login.*boolean/,
  },
  {
    name: 'user-data that is not a mapping',
    node: { overlays: [use('cloud-init', { 'user-data': ['reboot'] })] },
    message: /user-data.*object/,
  },
  {
    name: 'a user-data file without a name',
    node: { overlays: [use('cloud-init', { file: '' })] },
    message: /file: .*fewer than 1 char/,
  },
  {
    name: 'cloud-init on a HypriotOS without it',
    node: { overlays: [use('cloud-init', { 'user-data': { a: 1 } })] },
    files: stockFiles('hypriotos-1.0.0'),
    message: /needs cloud-init/,
  },
  {
    name: 'cloud-init on ClusterCTRL',
    node: { overlays: [use('cloud-init', { 'user-data': { a: 1 } })] },
    files: stockFiles('clusterctrl-bookworm'),
    message: /needs cloud-init/,
  },
  {
    name: 'a fixed address without one',
    node: { interfaces: [{ name: 'eth0', dns: [] }], overlays: [use('static-network')] },
    message: /needs address/,
  },
  {
    name: 'a language with a line end',
    node: { locale: { locale: 'de_DE.UTF-8\nreboot' }, overlays: [use('locale')] },
    message: /line end/,
  },
  {
    name: 'a host name with an underscore',
    node: { name: 'worker_default' },
    message: /not a valid host name/,
  },
  {
    name: 'a time zone with a line end',
    node: { locale: { timezone: 'Europe/Berlin\nreboot' } },
    message: /line end/,
  },
  {
    name: 'a damaged cmdline.txt',
    node: {},
    files: stockFiles('trixie', { 'cmdline.txt': 'quiet\n' }),
    message: /root=|no known system/,
  },
  {
    name: 'no cmdline.txt',
    node: { os: 'raspios-trixie' },
    files: stockFiles('trixie', { 'cmdline.txt': undefined }),
    message: /no cmdline\.txt/,
  },
]
for (const { name, node, files = stockFiles('trixie'), message } of wrong) {
  test(`refuses ${name}`, async () => {
    await assert.rejects(plan(files, makeNode(node as Partial<Node>)), (error: Error) => {
      assert.ok(error instanceof UsageError || error instanceof FormatError, error.stack)
      assert.match(error.message, message)
      return true
    })
  })
}
