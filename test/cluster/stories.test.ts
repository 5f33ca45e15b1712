import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha512crypt } from '../../src/secrets/sha512crypt.ts'
import {
  formatMistakes,
  networkOf,
  nodeOf,
  overlaysOf,
  parseRight,
  publicLine,
  readStory,
  storyNames,
} from './support.ts'

const stories: Record<string, Record<string, { network: string[]; overlays: string }>> = {
  'chappa-ai': {
    hammond: {
      network: ['br0 172.19.181.254/24 -', 'eth0 192.168.42.10/24 192.168.42.1 192.168.42.1'],
      overlays: 'hostname user ssh locale static-network gpu-mem cgroups router docker swarm',
    },
    oneil: {
      network: ['usb0 172.19.181.1/24 172.19.181.254 172.19.181.254'],
      overlays: 'hostname user ssh locale static-network gpu-mem cgroups docker swarm',
    },
  },
  clusterhat: {
    hammond: {
      network: ['br0 172.19.181.254/24 -', 'eth0 dhcp -'],
      overlays: 'hostname user ssh locale static-network gpu-mem cgroups docker swarm',
    },
    danieljackson: {
      network: ['usb0 172.19.181.4/24 172.19.181.254 172.19.181.254'],
      overlays: 'hostname user ssh locale static-network gpu-mem cgroups docker swarm',
    },
  },
  'hypriot-k8s': {
    node1: {
      network: ['eth0 192.168.2.11/24 - 8.8.8.8 8.8.4.4', 'wlan0 dhcp -'],
      overlays: 'hostname user ssh static-network wifi cgroups router kubeadm',
    },
    node3: {
      network: ['eth0 192.168.2.13/24 192.168.2.11 8.8.8.8 8.8.4.4'],
      overlays: 'hostname user ssh static-network cgroups kubeadm',
    },
  },
  'feeder-diskless': {
    cluster00: {
      network: ['eth0 192.168.1.100/24 192.168.1.1 192.168.1.1'],
      overlays: 'hostname user ssh static-network cgroups docker swarm portainer',
    },
    cluster06: {
      network: ['eth0 192.168.1.106/24 192.168.1.1 192.168.1.1'],
      overlays: 'hostname user ssh static-network cgroups docker swarm',
    },
  },
  magi: {
    caspar: {
      network: ['eth0 10.3.50.1/24 -', 'wlan0 dhcp -'],
      overlays: 'hostname user ssh static-network wifi cgroups router k3s',
    },
    melchior: {
      network: ['eth0 10.3.50.12/24 10.3.50.1 10.3.50.1'],
      overlays: 'hostname user ssh static-network cgroups k3s',
    },
  },
  'mixed-arch': {
    ctrl: {
      network: ['br0 172.19.181.254/24 -', 'eth0 dhcp -'],
      overlays: 'hostname user ssh static-network cgroups docker swarm',
    },
    zero4: {
      network: ['usb0 172.19.181.4/24 172.19.181.254 172.19.181.254'],
      overlays: 'hostname user ssh static-network cgroups docker swarm',
    },
  },
}

for (const name of storyNames)
  test(`story ${name}: no mistake, no warning, and the nodes it describes`, async () => {
    const cluster = await parseRight(readStory(name))
    assert.equal(formatMistakes(cluster.warnings), '')
    for (const [nodeName, expected] of Object.entries(stories[name] ?? {})) {
      const node = nodeOf(cluster, nodeName)
      assert.deepEqual({ network: networkOf(node), overlays: overlaysOf(node) }, expected, nodeName)
    }
    assert.equal(cluster.nodes.filter(({ role }) => role === 'head').length, 1)
    const again = await parseRight(readStory(name))
    assert.deepEqual(again, cluster, 'the same text gives the same cluster')
    assert.equal(again.nodes[0]?.user?.passwordHash?.reveal(), cluster.nodes[0]?.user?.passwordHash?.reveal())
  })

test('feeder: boards, storage and how they are served', async () => {
  const cluster = await parseRight(readStory('feeder-diskless'))
  const node = nodeOf(cluster, 'cluster06')
  assert.deepEqual(
    [node.boot, node.mac, node.storageBytes, node.groups],
    ['net', 'b8:27:eb:00:00:01', 8 * 1024 ** 3, ['workers']],
  )
  assert.deepEqual(cluster.netroot, { server: 'cluster00', layout: 'mac', root: 'auto' })
  assert.equal(cluster.network?.dhcp, 'proxy')
  assert.equal(cluster.join.by, 'pull')
})

test('magi: DHCP range, router, Wi-Fi with a derived key', async () => {
  const cluster = await parseRight(readStory('magi'))
  assert.deepEqual(cluster.network?.dhcp, { from: '10.3.50.100', to: '10.3.50.199', lease: '12h' })
  const caspar = nodeOf(cluster, 'caspar')
  assert.deepEqual(caspar.router, { uplink: 'wlan0', lan: 'eth0' })
  assert.match(caspar.wifi?.psk?.reveal() ?? '', /^[0-9a-f]{64}$/)
  assert.equal(caspar.interfaces[0]?.domain, 'cluster')
})

test('chappa-ai: keys normalised, password hashed with a derived salt', async () => {
  const user = nodeOf(await parseRight(readStory('chappa-ai')), 'oneil').user
  assert.deepEqual(user?.sshKeys, [publicLine])
  const hash = user?.passwordHash?.reveal() ?? ''
  assert.match(hash, /^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$/)
  assert.equal(
    hash,
    sha512crypt(`-p$(id)'"%\\ ü`, hash.split('$')[2] ?? ''),
    'the first line of the file, to the letter',
  )
})
