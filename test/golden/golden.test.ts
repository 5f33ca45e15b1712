/** Every example, every release of every system and every model: baked and laid out. (./golden.ts says how to update.) */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseImageName, parseKey } from '../../src/catalog/names.ts'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { features } from '../../src/features/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { DEMO_IMAGE, DEMO_LAYOUT } from '../support/project.ts'
import { assertGolden } from './golden.ts'
import {
  digestCards,
  digestNetroot,
  type GoldenProject,
  goldenProject,
  lockEntry,
  makeStandIn,
  type StandIn,
  writeLock,
} from './project.ts'

const examples: Record<string, StandIn> = {
  basic: { boot: 'trixie', root: 'networkmanager' },
  clusterhat: { boot: 'clusterctrl-bookworm', root: 'networkmanager' },
  'feeder-diskless': { boot: 'bookworm', root: 'networkmanager' },
  'hypriot-k8s': { boot: 'trixie', root: 'networkmanager' },
  magi: { boot: 'trixie', root: 'networkmanager' },
  'mixed-arch': { boot: 'clusterctrl-buster', root: 'dhcpcd' },
}

/** Every image that the cluster file names is one stand-in. */
async function lockAll(project: GoldenProject, standIn: StandIn): Promise<string[]> {
  const { nodes } = await readCluster(project.file('cluster.yaml'), { features, home: project.folder })
  const images: Record<string, object> = {}
  const bytes = await makeStandIn(standIn)
  writeFileSync(project.file('stock.img'), bytes)
  for (const { image } of nodes)
    images[image] = lockEntry(
      parseKey(image) ?? parseImageName(`${image.replace('@', '-')}.img`) ?? {},
      'stock.img',
      bytes,
    )
  writeLock(project, images)
  return nodes.filter(({ boot }) => boot === 'net').map(({ name }) => name)
}

for (const [name, standIn] of Object.entries(examples)) {
  test(`example ${name}`, async (t) => {
    const project = goldenProject(t, name)
    // Its boards have a cable.
    const wifi = name === 'basic' ? [] : ['--wifi', 'attic']
    await project.piimage('init', '--template', name, '--yes', ...wifi)
    // init takes this machine's own.
    const file = project.file('cluster.yaml')
    if (name === 'basic')
      writeFileSync(file, readFileSync(file, 'utf8').replace(/timezone: [\w/+-]+/, 'timezone: Etc/UTC'))
    const diskless = await lockAll(project, standIn)
    const digests = await digestCards(project)
    if (diskless.length > 0) Object.assign(digests, await digestNetroot(project, diskless))
    assertGolden(`examples/${name}`, digests)
  })
}

test('example demo', async (t) => {
  const project = goldenProject(t, 'demo')
  const folder = join(packageRoot(), 'examples/demo')
  for (const name of ['cluster.yaml', 'demo.img.xz']) copyFileSync(join(folder, name), project.file(name))
  const shipped = JSON.parse(readFileSync(join(packageRoot(), 'images.lock.json'), 'utf8'))
  writeLock(project, { [DEMO_IMAGE]: { ...shipped.images[DEMO_IMAGE], url: 'file:demo.img.xz' } })
  assertGolden('examples/demo', await digestCards(project, DEMO_LAYOUT.boot))
})

interface Release {
  image: string
  boot: string
  root: StandIn['root']
  /** Of its two nodes. */
  model?: string
}

const releases: Record<string, Release> = {
  stretch: { image: 'raspios-stretch-armhf-lite@2018-11-13', boot: 'stretch', root: 'dhcpcd', model: 'pi3b' },
  buster: { image: 'raspios-buster-armhf-lite@2020-08-20', boot: 'buster', root: 'dhcpcd' },
  'bullseye-first': {
    image: 'raspios-bullseye-armhf-lite@2021-10-30',
    boot: 'bullseye-first',
    root: 'dhcpcd',
  },
  bullseye: { image: 'raspios-bullseye-armhf-lite@2023-05-03', boot: 'bullseye', root: 'dhcpcd' },
  bookworm: {
    image: 'raspios-bookworm-arm64-lite@2025-05-13',
    boot: 'bookworm',
    root: 'networkmanager',
    model: 'pi5',
  },
  'trixie-first': {
    image: 'raspios-trixie-arm64-lite@2025-10-01',
    boot: 'trixie-first',
    root: 'networkmanager',
  },
  trixie: { image: 'raspios-trixie-arm64-lite@2026-06-18', boot: 'trixie', root: 'networkmanager' },
  'hypriotos-1.0.0': {
    image: 'hypriotos-jessie-armhf-rpi@1.0.0',
    boot: 'hypriotos-1.0.0',
    root: 'ifupdown',
    model: 'pi3b',
  },
  'hypriotos-1.9.0': {
    image: 'hypriotos-stretch-armhf-rpi@1.9.0',
    boot: 'hypriotos-1.9.0',
    root: 'dhcpcd',
    model: 'pi3b',
  },
  'hypriotos-1.12.3': {
    image: 'hypriotos-buster-armhf-rpi@1.12.3',
    boot: 'hypriotos-1.12.3',
    root: 'dhcpcd',
  },
  'hypriotos-arm64': {
    image: 'hypriotos-stretch-arm64-rpi@20180429-184538',
    boot: 'hypriotos-arm64',
    root: 'ifupdown',
    model: 'pi3b',
  },
  'clusterctrl-buster': {
    image: 'clusterctrl-buster-armhf-lite@2019-07-10',
    boot: 'clusterctrl-buster',
    root: 'dhcpcd',
  },
  'clusterctrl-bullseye': {
    image: 'clusterctrl-bullseye-armhf-lite@2023-05-03',
    boot: 'clusterctrl-bullseye',
    root: 'dhcpcd',
  },
  'clusterctrl-bookworm': {
    image: 'clusterctrl-bookworm-armhf-lite@2025-11-24',
    boot: 'clusterctrl-bookworm',
    root: 'networkmanager',
  },
}

const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe test@piimage'
const psk = 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e'
const passwordHash =
  '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'

const clusterOf = (image: string, network: string, more: string): string => `cluster: sgc
image: ${image}
user: { name: ops, passwordHash: '${passwordHash}', sshKeys: ['${sshKey}'] }
locale: { timezone: Europe/Berlin, keymap: de, locale: de_DE.UTF-8 }
network: ${network}
${more}`

/** A node with a card that holds all there is, and one without a card. */
const withBoth = ({ image, model = 'pi4' }: Release): string =>
  clusterOf(
    image,
    '{ cidr: 192.168.2.0/24, gateway: 192.168.2.1, dns: [192.168.2.1], domain: sgc.lan }',
    `netroot: { server: oneil }
overlays: [ssh, docker, { gpu-mem: { megabytes: 16 } }]
join: { kind: swarm, head: oneil }
nodes:
  oneil:
    model: ${model}
    address: 192.168.2.11/24
    wifi: { ssid: Cheyenne Mountain, psk: ${psk}, country: US }
    overlays: [portainer]
  carter:
    model: ${model}
    address: 192.168.2.12/24
    boot: net
    serial: '10000000a1b2c3d4'
    storage: 64M
`,
  )

for (const [name, release] of Object.entries(releases)) {
  test(`release ${name}`, async (t) => {
    const project = goldenProject(t, name)
    writeFileSync(project.file('cluster.yaml'), withBoth(release), { mode: 0o600 })
    const diskless = await lockAll(project, { boot: release.boot, root: release.root })
    const digests = await digestNetroot(project, diskless)
    assertGolden(`releases/${name}`, { ...digests, ...(await digestCards(project)) })
  })
}

/** With Ethernet: they may also boot over it. */
const wired = ['pi1', 'pi2', 'pi3b', 'pi3b+', 'pi4', 'pi400', 'pi5', 'pi500', 'cm3', 'cm4', 'cm5']
const unwired = ['pi3a+', 'zero', 'zerow', 'zero2w']
const gadgets = ['zero', 'zerow', 'zero2w', 'pi3a+', 'pi4', 'pi400', 'pi5', 'pi500']

test('every model', async (t) => {
  const project = goldenProject(t, 'models')
  const nodes = [...wired, ...unwired].flatMap((model, index) => {
    const name = `n${index}`
    const serial = `1000000000${(index + 16).toString(16)}c3d4`
    const address = (from: number) => `address: 192.168.2.${from + index}/24`
    const port = gadgets.includes(model) ? ', overlays: [usb-gadget]' : ''
    const card = `  ${name}: { model: ${model}, ${address(10)}${port} }\n`
    if (unwired.includes(model)) return [card]
    return [card, `  d${index}: { model: ${model}, ${address(50)}, boot: net, serial: '${serial}' }\n`]
  })
  const image = 'raspios-trixie-armhf-lite@2026-06-18'
  const network = '{ cidr: 192.168.2.0/24, gateway: 192.168.2.1, dns: [192.168.2.1], dhcp: proxy }'
  const more = `netroot: { server: n5 }\noverlays: [ssh]\nnodes:\n${nodes.join('')}`
  writeFileSync(project.file('cluster.yaml'), clusterOf(image, network, more), { mode: 0o600 })
  const diskless = await lockAll(project, { boot: 'trixie', root: 'networkmanager' })
  assertGolden('models', { ...(await digestCards(project)), ...(await digestNetroot(project, diskless)) })
})

test('every model that a ClusterHAT takes', async (t) => {
  const project = goldenProject(t, 'hat')
  const nodes = unwired.map(
    (model, index) => `  n${index}: { model: ${model}, clusterhat: p${index + 1}, boot: net }\n`,
  )
  const image = 'clusterctrl-bookworm-armhf-lite@2025-11-24'
  const network = '{ cidr: 172.19.181.0/24, gateway: 172.19.181.254, dns: [172.19.181.254] }'
  const more = `netroot: { server: hammond }\noverlays: [ssh]\nnodes:\n  hammond: { model: pi4, clusterhat: cnat }\n${nodes.join('')}`
  writeFileSync(project.file('cluster.yaml'), clusterOf(image, network, more), { mode: 0o600 })
  const diskless = await lockAll(project, { boot: 'clusterctrl-bookworm', root: 'networkmanager' })
  assertGolden('clusterhat', { ...(await digestCards(project)), ...(await digestNetroot(project, diskless)) })
})
