/**
 * A published image under Raspberry Pi Imager: its list passes the rules that Imager reads it by, and what
 * Imager writes onto the image's boot partition leaves piimage's part whole and started.
 *
 * Source of both: raspberrypi/rpi-imager, src/oslistparser.cpp (`isValidInitFormat`, `filterInvalidInitFormats`,
 * `byteCountFromJson`), src/hwlistmodel.cpp (`reload`), src/imagewriter.cpp (`filterOsListWithHWTags`),
 * src/downloadthread.cpp and src/fastbootflashthread.cpp (what is written), src/customization_generator.cpp (its
 * text); RPi-Distro/raspberrypi-sys-mods, `imager_fixup`. The judges are cloud-init and systemd themselves.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { formatOsList, type OsListImage } from '../../src/bake/os-list.ts'
import { bootFilesOf, bytesOf } from '../../src/boot/boot-files.ts'
import { installedScript, parseCmdline } from '../../src/boot/cmdline-txt.ts'
import { boards, type Model } from '../../src/cluster/boards.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { type BootPlan, planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { checkFirstBoot } from '../../src/rehearsal/card/first-boot.ts'
import { Findings } from '../../src/rehearsal/fault.ts'
import { makeCluster, makeNode, use } from '../customise/cluster.ts'
import { type Files, stockFiles } from '../customise/stock.ts'
import { fakePi, install, shells } from '../firstboot/fake-pi.ts'
import { tempFolder } from '../support/temp.ts'
import { needFile, needTool, run } from '../support/tools.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

/** The boot partition of a published image. */
async function published(system: string, extra: string[] = []): Promise<{ plan: BootPlan; card: Files }> {
  const node = makeNode({
    user: undefined,
    wifi: undefined,
    overlays: ['hostname', 'ssh', 'locale', 'static-network', 'cgroups', ...extra].map((name) => use(name)),
  })
  const files = stockFiles(system)
  const plan = await planBoot({
    ...{ cluster: makeCluster([node]), node, overlays, keys: undefined, published: true },
    image: { key: 'x@1', version: '1', arch: 'arm64' as const },
    boot: bootFilesOf(files),
  })
  const card = new Map(files)
  for (const { path, after } of plan.files)
    if (after === null) card.delete(path)
    else card.set(path, after)
  return { plan, card }
}

const textOf = (files: Files, path: string): string => Buffer.from(files.get(path) ?? []).toString('utf8')

/** The generator's text for a host name, a user with a key, and nothing but the country of a Wi-Fi. */
const userData = `hostname: garden
manage_etc_hosts: true
packages:
- avahi-daemon
apt:
  conf: |
    Acquire {
      Check-Date "false";
    };
timezone: Europe/Vienna
keyboard:
  model: pc105
  layout: "at"
enable_ssh: true
users:
- name: anna
  groups: users,adm,dialout,audio,netdev,video,plugdev,cdrom,games,input,gpio,spi,i2c,render,sudo
  shell: /bin/bash
  lock_passwd: true
  ssh_authorized_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAnna anna@laptop
  sudo: ALL=(ALL) NOPASSWD:ALL
runcmd:
  - [ rfkill, unblock, wifi ]
  - [ sh, -c, "for f in /var/lib/systemd/rfkill/*:wlan; do echo 0 > \\"$f\\"; done" ]
`

const firstrun = `#!/bin/sh

set +e

CURRENT_HOSTNAME=$(cat /etc/hostname | tr -d " \\t\\n\\r")
if [ -f /usr/lib/raspberrypi-sys-mods/imager_custom ]; then
   /usr/lib/raspberrypi-sys-mods/imager_custom set_hostname garden
fi
rm -f /boot/firstrun.sh
sed -i 's| systemd.run.*||g' /boot/cmdline.txt
exit 0
`

/** What Imager does to the partition once the image is written; `names` the machine on the command line since 2.0. */
function imagerWrites(card: Files, format: BootPlan['imager'], names: boolean): Files {
  const after = new Map(card)
  let line = ' cfg80211.ieee80211_regdom=AT'
  if (format === 'systemd') {
    after.set('firstrun.sh', bytesOf(firstrun))
    line +=
      ' systemd.run=/boot/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target'
  } else if (format !== 'none') {
    after.set('meta-data', bytesOf('instance-id: rpi-imager-1764539000000\n'))
    after.set('user-data', bytesOf(`#cloud-config\n${userData}`))
    if (names) line += ' ds=nocloud;i=rpi-imager-1764539000000'
  }
  after.set('cmdline.txt', bytesOf(textOf(card, 'cmdline.txt').trim() + line))
  return after
}

/** What the walk over a card finds wrong with its first boot. */
async function faultsOf(card: Files, ...more: string[]): Promise<string[]> {
  const findings = new Findings()
  const tokens = [...parseCmdline(textOf(card, 'cmdline.txt')), ...more]
  await checkFirstBoot({ boot: bootFilesOf(card), tokens, place: 'cmdline.txt', findings })
  return findings.faults.map(({ problem }) => problem)
}

function lay(folder: string, files: Files): void {
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

/** cloud-init's own reading of a seed: metadata, the settings that count, and the vendor's scripts. */
const readSeed = `import copy, json, os, sys
from cloudinit import helpers, settings, stages, util
from cloudinit.sources import DataSourceNoCloud as nocloud
seed, root, line = sys.argv[1:]
util.get_cmdline = lambda: line
paths = {'cloud_dir': root, 'run_dir': os.path.join(root, 'run')}
os.makedirs(paths['run_dir'])
init = stages.Init([])
init._cfg = copy.deepcopy(settings.CFG_BUILTIN)
init._cfg['system_info'] = {'distro': 'debian', 'paths': paths}
config = {**init._cfg, 'datasource': {'NoCloud': {'seedfrom': 'file://' + seed + '/'}}}
found = nocloud.DataSourceNoCloud(config, init.distro, init.paths)
assert found._get_data()
init.datasource = init.paths.datasource = found
instance = os.path.join(root, 'instances', found.get_instance_id())
os.makedirs(instance)
os.symlink(instance, os.path.join(root, 'instance'))
init.update()
init._consume_userdata()
init._consume_vendordata('vendordata')
merged = helpers.ConfigMerger(paths=init.paths, datasource=found, base_cfg={}).cfg
scripts = os.path.join(instance, 'scripts', 'vendor')
texts = [open(os.path.join(scripts, name)).read() for name in sorted(os.listdir(scripts))]
json.dump({'id': found.get_instance_id(), 'config': merged, 'scripts': texts}, sys.stdout, default=str)`

interface Seed {
  id: string
  config: Record<string, unknown>
  scripts: string[]
}

function seedOf(t: TestContext, card: Files): Seed | undefined {
  if (needTool(t, 'cloud-init', 'cloud-init') === undefined) return undefined
  const folder = tempFolder(t)
  lay(join(folder, 'boot'), card)
  const read = run('/usr/bin/python3', [
    '-c',
    readSeed,
    join(folder, 'boot'),
    join(folder, 'cloud'),
    textOf(card, 'cmdline.txt').trim(),
  ])
  assert.equal(read.status, 0, read.stderr)
  return JSON.parse(read.stdout) as Seed
}

for (const [system, format] of [
  ['trixie', 'cloudinit-rpi'],
  ['ubuntu-24.04', 'cloudinit'],
] as const)
  test(`${system}: Imager's user comes in, and the first boot is started`, async (t) => {
    const { plan, card } = await published(system)
    assert.equal(plan.imager, format)
    assert.equal(card.get('user-data'), stockFiles(system).get('user-data') ?? card.get('user-data'))
    assert.equal(textOf(card, 'user-data'), textOf(stockFiles(system), 'user-data'))
    for (const names of [true, false]) {
      const written = imagerWrites(card, plan.imager, names)
      assert.deepEqual(await faultsOf(written), [])
      const off = 'cloud-init=disabled'
      assert.deepEqual(await faultsOf(written, off), [`${off}: nothing reads vendor-data`])
      const seed = seedOf(t, written)
      if (seed === undefined) return
      const { id, config, scripts } = seed
      // One machine, whichever of the two names it: else each boot were a first one.
      assert.match(id, names || format === 'cloudinit' ? /^rpi-imager-/ : /^piimage-oneil-/)
      assert.equal((config.users as { name: string }[])[0]?.name, 'anna')
      assert.equal(config.hostname, 'garden')
      // What Imager doesn't say is piimage's.
      assert.equal(config.locale, 'en_GB.UTF-8')
      // Imager's runcmd takes the place of any other.
      assert.equal((config.runcmd as unknown[]).length, 2)
      assert.equal(scripts.length, 1)
      const [script = ''] = scripts
      assert.match(script, /^#!\/bin\/sh\n/)
      assert.match(script, /^'?sh'? '?\/boot\/firmware\/piimage\/install\.sh'?$/m)
      assert.match(script, /systemctl'? '?enable'? '?--now'? '?ssh/)
    }
    const alone = seedOf(t, card)
    assert.match(alone?.id ?? '', /^piimage-oneil-/)
    assert.equal(alone?.config.hostname, 'oneil')
    assert.equal(alone?.scripts.length, 1)
  })

test('vendor-data of an overlay would take that place, and a list of modules without scripts', async () => {
  const node = makeNode({ user: undefined, overlays: [use('hostname')] })
  const request = {
    ...{ cluster: makeCluster([node]), node, overlays, keys: undefined, published: true },
    image: { key: 'x@1', version: '1', arch: 'arm64' as const },
    boot: bootFilesOf(stockFiles('trixie')),
  }
  const given = { secrets: [], files: new Map([['vendor-data', bytesOf('x')]]) }
  await assert.rejects(planBoot({ ...request, extras: given }), /vendor-data starts the first boot/)
  const userData = { cloud_final_modules: ['scripts_user'] }
  await assert.rejects(
    planBoot({ ...request, extras: { secrets: [], files: new Map(), userData } }),
    /cloud_final_modules has no scripts_vendor/,
  )
})

/** Commands that systemd's own generator makes of a command line, in their order. */
function commandsOf(t: TestContext, line: string): string[] | undefined {
  const generator = '/usr/lib/systemd/system-generators/systemd-run-generator'
  if (!needFile(t, generator, 'systemd')) return undefined
  const folder = tempFolder(t)
  const env = { SYSTEMD_PROC_CMDLINE: line }
  const ran = run(generator, [folder, folder, folder], { env })
  assert.equal(ran.status, 0, ran.stderr)
  const unit = readFileSync(join(folder, 'kernel-command-line.service'), 'utf8')
  assert.match(unit, /^SuccessAction=reboot$/m)
  return [...unit.matchAll(/^ExecStart=(.*)$/gm)].map(([, command]) => command ?? '')
}

for (const [system, mount] of [
  ['trixie-first', '/boot/firmware'],
  ['bookworm', '/boot/firmware'],
  ['bullseye', '/boot'],
  ['buster', '/boot'],
] as const)
  test(`${system}: Imager's script runs behind the installer, and each takes only its own out`, async (t) => {
    const { plan, card } = await published(system)
    assert.equal(plan.imager, 'systemd')
    const folder = tempFolder(t)
    const file = join(folder, 'cmdline.txt')
    writeFileSync(file, textOf(imagerWrites(card, 'systemd', true), 'cmdline.txt'))
    const sed = (program: string) => assert.equal(run('sed', ['-i', program, file]).status, 0)
    // What the image's initramfs does to the line before anything else.
    if (mount === '/boot/firmware') sed('s|/boot/|/boot/firmware/|g')
    const line = readFileSync(file, 'utf8')
    assert.deepEqual(await faultsOf(new Map([...card, ['cmdline.txt', bytesOf(line)]])), [])
    assert.equal(installedScript(parseCmdline(line)), `${mount}/piimage/install.sh`)
    const commands = commandsOf(t, line)
    if (commands !== undefined)
      assert.deepEqual(commands, [
        `/usr/bin/env --chdir=/boot sh ${mount === '/boot' ? '' : 'firmware/'}piimage/install.sh`,
        `${mount}/firstrun.sh`,
      ])
    const pi = fakePi(t, { shell: shells[0], earlySteps: [] })
    if (pi === undefined) return
    writeFileSync(join(pi.boot, 'cmdline.txt'), line)
    const ended = install(pi)
    assert.equal(ended.status, 0, ended.output)
    const between = readFileSync(join(pi.boot, 'cmdline.txt'), 'utf8')
    // Cut off here, it goes on with Imager's script alone.
    assert.equal(installedScript(parseCmdline(between)), undefined)
    assert.deepEqual(commandsOf(t, between) ?? [`${mount}/firstrun.sh`], [`${mount}/firstrun.sh`])
    assert.match(between, / systemd\.unit=kernel-command-line\.target/)
    writeFileSync(file, between)
    sed(mount === '/boot' ? 's| systemd.run.*||g' : 's| systemd\\.[^ ]*||g')
    const kernel = parseCmdline(textOf(card, 'cmdline.txt')).filter((token) => !token.startsWith('systemd.'))
    assert.deepEqual(parseCmdline(readFileSync(file, 'utf8')), [...kernel, 'cfg80211.ieee80211_regdom=AT'])
  })

test('systems whose first boot Imager would spoil are not offered to it', async () => {
  for (const system of ['stretch', 'clusterctrl-bookworm', 'hypriotos-1.12.3'])
    assert.equal((await published(system)).plan.imager, 'none', system)
})

const image = (model: Model, arch: OsListImage['arch'], imager: BootPlan['imager']): OsListImage => ({
  ...{ name: `sgc ${model} ${arch}`, description: 'x', url: 'https://example.org/x.img.xz' },
  ...{ bmapUrl: 'https://example.org/x.bmap', extractedSize: 3 * 2 ** 31, extractedSha256: 'ab'.repeat(32) },
  ...{ size: 512, sha256: 'cd'.repeat(32), releaseDate: '2026-06-18', model, arch, imager },
})

test("Imager's own rules of the list: every entry is shown for its board, and for no other", () => {
  const formats: BootPlan['imager'][] = ['none', 'systemd', 'cloudinit', 'cloudinit-rpi']
  const images = (Object.keys(boards) as Model[]).flatMap((model, at) =>
    (['armhf', 'arm64'] as const)
      .filter((arch) => boards[model].kernel[arch] !== undefined)
      .map((arch) => image(model, arch, formats[at % formats.length] ?? 'none')),
  )
  const { imager, os_list: list } = JSON.parse(formatOsList(images))
  // isValidInitFormat
  const valid = ['', 'systemd', 'cloudinit', 'cloudinit-rpi', 'rpi-preseed', 'none']
  assert.deepEqual(
    [...new Set(list.map((entry: { init_format: string }) => entry.init_format))].sort(),
    [...formats].sort(),
  )
  for (const entry of list) {
    assert.ok(valid.includes(entry.init_format), entry.init_format)
    // byteCountFromJson: a number, finite, not negative.
    for (const key of ['extract_size', 'image_download_size'])
      assert.ok(Number.isFinite(entry[key]) && entry[key] > 0, key)
    for (const key of ['extract_sha256', 'image_download_sha256']) assert.match(entry[key], /^[0-9a-f]{64}$/)
    assert.ok(Array.isArray(entry.devices) && entry.devices.length > 0)
    assert.ok(Array.isArray(entry.capabilities))
    assert.match(entry.url, /\.(?:zip|gz|xz|zst|img)$/)
    // sanitizeIconSource passes it through: neither remote nor a file.
    assert.match(entry.icon, /^data:image\/svg\+xml,/)
  }
  // HWListModel::reload wants an array, and each device's tags are its filter (exclusive: only what has one).
  assert.ok(Array.isArray(imager.devices))
  const shown = (tags: string[]) =>
    list.filter(({ devices }: { devices: string[] }) => devices.some((tag) => tags.includes(tag)))
  const seen = new Set<string>()
  for (const { name, tags, description, matching_type } of imager.devices) {
    assert.ok(name !== '' && description !== '' && tags.length > 0)
    assert.equal(matching_type, 'exclusive')
    for (const entry of shown(tags)) {
      assert.ok(!seen.has(entry.name), `${entry.name} under two boards`)
      seen.add(entry.name)
    }
  }
  assert.equal(seen.size, list.length)
})

test('entries of other bakes stay, and their boards', () => {
  const one = formatOsList([image('pi4', 'arm64', 'none')])
  const both = JSON.parse(formatOsList([image('pi1', 'armhf', 'none')], one))
  assert.deepEqual(
    both.imager.devices.map(({ tags }: { tags: string[] }) => tags),
    [['pi4-64bit'], ['pi1-32bit']],
  )
  assert.equal(both.os_list.length, 2)
})
