/** Ubuntu's seed, judged by the programs that read it: cloud-init's own code, and netplan. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import { parseUserData, parseYamlMap } from '../../src/boot/cloud-init.ts'
import type { Node } from '../../src/cluster/node.ts'
import { readExtras } from '../../src/customise/extras.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { planServed } from '../../src/customise/plan-served.ts'
import { packageRoot } from '../../src/package-root.ts'
import { Secret } from '../../src/secret.ts'
import { detectSystem } from '../../src/systems/detect.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode, PSK, use } from './cluster.ts'
import { type Files, stockBoot, stockFiles } from './stock.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

const uses = (...names: string[]) => names.map((name) => use(name))
const whole: Partial<Node> = {
  wifi: { ssid: 'Cheyenne Mountain', psk: new Secret(PSK), country: 'US', hidden: true },
  overlays: uses('hostname', 'user', 'ssh', 'locale', 'static-network', 'wifi', 'cgroups'),
}

const request = (files: Files, node: Partial<Node>, given?: string) => {
  const made = makeNode(node)
  return {
    ...{ cluster: makeCluster([made]), node: made, overlays, keys },
    image: { key: 'ubuntu-noble-arm64-server@24.04.4', version: '24.04.4', arch: 'arm64' as const },
    boot: bootFilesOf(files),
    extras:
      given === undefined
        ? undefined
        : readExtras({ userData: { name: 'given', text: given }, files: new Map() }),
  }
}

/** The boot partition of a card after its plan. */
async function cardOf(files: Files, node: Partial<Node>, given?: string): Promise<Files> {
  const card = new Map(files)
  for (const { path, after } of (await planBoot(request(files, node, given))).files) {
    if (after === null) card.delete(path)
    else card.set(path, after)
  }
  return card
}

const textOf = (files: Files, path: string): string => Buffer.from(files.get(path) ?? []).toString('utf8')

function lay(folder: string, files: Files): void {
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

for (const system of ['ubuntu-24.04', 'ubuntu-26.04'])
  test(`${system}: cloud-init takes the seed from the partition and finds nothing wrong in it`, async (t) => {
    const tool = needTool(t, 'cloud-init', 'cloud-init')
    if (tool === undefined) return
    const folder = tempFolder(t)
    const card = await cardOf(stockFiles(system), whole)
    lay(folder, card)
    const { status, stdout, stderr } = run(tool, ['schema', '-c', join(folder, 'user-data')])
    assert.equal(status, 0, stdout + stderr)
    // What the data source does with the volume that has its label.
    const program = `import json, sys
from cloudinit import util
from cloudinit.sources.DataSourceNoCloud import _merge_new_seed
found = util.pathprefix2dict(sys.argv[1], required=['user-data', 'meta-data'], optional=['vendor-data', 'network-config'])
merged = _merge_new_seed({'meta-data': {}, 'user-data': '', 'vendor-data': '', 'network-config': None}, found)
json.dump([merged['meta-data'], merged['network-config']], sys.stdout)`
    const read = run('/usr/bin/python3', ['-c', program, folder])
    assert.equal(read.status, 0, read.stderr)
    const [metaData, network] = JSON.parse(read.stdout)
    assert.match(metaData['instance-id'], /^piimage-oneil-[0-9a-f]{12}$/)
    assert.equal(metaData.dsmode, 'local')
    assert.deepEqual(Object.keys(network.ethernets ?? network.network.ethernets), ['eth0'])
  })

/** What cloud-init makes of network-config on Ubuntu, and netplan of that: files below the root, by path. */
function networkOf(t: TestContext, networkConfig: string): Map<string, string> | undefined {
  const cloudInit = needTool(t, 'cloud-init', 'cloud-init')
  const netplan = needTool(t, 'netplan', 'netplan.io')
  if (cloudInit === undefined || netplan === undefined) return undefined
  const folder = tempFolder(t)
  const file = join(folder, 'network-config')
  const root = join(folder, 'root')
  mkdirSync(root)
  writeFileSync(file, networkConfig)
  const kind = ['-k', 'yaml', '-D', 'ubuntu', '-O', 'netplan']
  const converted = run(cloudInit, ['devel', 'net-convert', '-p', file, '-d', root, ...kind])
  assert.equal(converted.status, 0, converted.stdout + converted.stderr)
  const generated = run(netplan, ['generate', '--root-dir', root])
  assert.equal(generated.status, 0, generated.stdout + generated.stderr)
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'utf8')]))
}

test('netplan makes units of systemd-networkd of the network: address, route, names, Wi-Fi', async (t) => {
  const card = await cardOf(stockFiles('ubuntu-24.04'), whole)
  const files = networkOf(t, textOf(card, 'network-config'))
  if (files === undefined) return
  const wired = files.get('10-netplan-eth0.network') ?? ''
  for (const line of ['Address=172.19.181.1/24', 'Gateway=172.19.181.254', 'DNS=172.19.181.254'])
    assert.ok(wired.includes(`${line}\n`), `${line}\n${wired}`)
  // A port without a cable must not hold up the boot.
  assert.match(wired, /RequiredForOnline=no/)
  const radio = files.get('wpa-wlan0.conf') ?? ''
  assert.match(radio, /ssid="Cheyenne Mountain"|ssid=P"Cheyenne Mountain"/)
  assert.match(radio, /scan_ssid=1/)
  assert.ok(radio.includes(`psk=${PSK}\n`), radio.replace(PSK, '<psk>'))
  assert.match(textOf(card, 'cmdline.txt'), / cfg80211\.ieee80211_regdom=US /)
})

test('a node that says nothing of its network has the one the image has', async () => {
  const stock = stockFiles('ubuntu-24.04')
  const plain: Partial<Node> = { interfaces: [{ name: 'eth0', dns: [] }], overlays: uses('hostname', 'user') }
  assert.equal(textOf(await cardOf(stock, plain), 'network-config'), textOf(stock, 'network-config'))
})

test('the password of the image’s user stays where nobody names another, also on a card made again', async () => {
  const nobody: Partial<Node> = { user: undefined, overlays: uses('hostname') }
  const stock = stockFiles('ubuntu-24.04')
  const wanted = parseYamlMap(textOf(stock, 'user-data'), 'user-data')
  const loginOf = (card: Files) => {
    const { chpasswd, ssh_pwauth } = parseUserData(textOf(card, 'user-data'), 'user-data')
    return { chpasswd, ssh_pwauth }
  }
  const fresh = await cardOf(stock, nobody)
  assert.deepEqual(loginOf(fresh), wanted)
  assert.deepEqual(loginOf(await cardOf(fresh, nobody)), wanted)
  const named = await cardOf(stock, whole)
  assert.deepEqual(loginOf(named), { chpasswd: undefined, ssh_pwauth: false })
  // The receipt on the card keeps no password.
  const { warnings } = await planBoot(request(named, nobody))
  assert.match(warnings.join('\n'), /user ubuntu has no password: name a user:/)
  assert.deepEqual((await planBoot(request(stock, nobody))).warnings, [])
  const given = '#cloud-config\nusers:\n- name: ops\n'
  assert.equal(loginOf(await cardOf(stock, nobody, given)).chpasswd, undefined)
})

test('a seed of the image that says more is replaced with a warning', async () => {
  const warningsOf = async (changes: Record<string, string>) =>
    (await planBoot(request(stockFiles('ubuntu-24.04', changes), whole))).warnings
  assert.deepEqual(await warningsOf({}), [])
  assert.deepEqual(await warningsOf({ 'user-data': '#cloud-config\nchpasswd: {}\npackages: [vim]\n' }), [
    "the image's own user-data is replaced (packages)",
  ])
})

test('a root with another label is still Ubuntu’s, and Raspberry Pi OS with a seed is none', async () => {
  const line = 'console=tty1 root=LABEL=nvme-root rootfstype=ext4 rootwait fixrtc\n'
  const { os } = await detectSystem(stockBoot('ubuntu-24.04', { 'cmdline.txt': line }))
  assert.deepEqual([os.family, os.release], ['ubuntu', '22.04'])
  assert.equal((await detectSystem(stockBoot('trixie'))).os.family, 'raspios')
  assert.equal((await detectSystem(stockBoot('trixie'), 'ubuntu-25.10')).os.release, '25.10')
})

test('the desktop, which has no seed, is refused by name', async () => {
  const desktop = stockBoot('ubuntu-24.04', { 'user-data': undefined, 'meta-data': undefined })
  await assert.rejects(detectSystem(desktop), /^FormatError: this is Ubuntu Desktop \(.*no user-data\)/)
})

test('by network it is refused with what to do instead', async () => {
  await assert.rejects(
    planServed(request(stockFiles('ubuntu-24.04'), whole), 'eth0'),
    /oneil is to boot by network, and Ubuntu is known only on cards/,
  )
})
