import assert from 'node:assert/strict'
import { test } from 'node:test'
import { head, networkOf, nodeOf, overlaysOf, parseRight } from './support.ts'

test('merge: defaults, groups in order, node; maps by field, values replaced', async () => {
  const cluster = await parseRight(`${head}model: pi3b
user: { name: ops, sshKeys: [keys/id_ed25519.pub] }
locale: { timezone: Etc/UTC, keymap: us }
labels: { a: "0", b: "0", c: "0" }
groups:
  first: { model: pi4, locale: { keymap: gb, locale: en_GB.UTF-8 }, labels: { b: "1", c: "1" } }
  second: { locale: { keymap: de }, image: raspios-bookworm-armhf-lite@2025-05-13 }
nodes:
  plain: {}
  one: { group: first }
  both: { group: first, groups: [second], user: { name: admin }, labels: { c: "2" } }
  swapped: { groups: [second, first], user: false }
`)
  const shown = (name: string) => {
    const { model, image, locale, user, labels } = nodeOf(cluster, name)
    return [model, image.includes('arm64') ? 64 : 32, locale, user?.name, user?.sshKeys.length, labels]
  }
  const base = { timezone: 'Etc/UTC' }
  assert.deepEqual(shown('plain'), [
    'pi3b',
    64,
    { ...base, keymap: 'us' },
    'ops',
    1,
    { a: '0', b: '0', c: '0' },
  ])
  assert.deepEqual(shown('one'), [
    'pi4',
    64,
    { ...base, keymap: 'gb', locale: 'en_GB.UTF-8' },
    'ops',
    1,
    { a: '0', b: '1', c: '1' },
  ])
  assert.deepEqual(shown('both'), [
    'pi4',
    32,
    { ...base, keymap: 'de', locale: 'en_GB.UTF-8' },
    'admin',
    1,
    { a: '0', b: '1', c: '2' },
  ])
  assert.deepEqual(shown('swapped'), [
    'pi4',
    32,
    { ...base, keymap: 'gb', locale: 'en_GB.UTF-8' },
    undefined,
    undefined,
    { a: '0', b: '1', c: '1' },
  ])
})

test('merge: overlays are appended, parameters merged, false takes away, the order is fixed', async () => {
  const cluster =
    await parseRight(`${head}overlays: [my-own, docker, gpu-mem: { a: 1, deep: { x: 1, y: 1 } }, ssh]
groups: { g: { overlays: [gpu-mem: { deep: { y: 2 } }] } }
nodes:
  plain: { model: pi4 }
  more: { model: pi4, group: g, overlays: [gpu-mem: { b: 3, list: [1] }, ssh: false, cgroups: false] }
  again: { model: pi4, overlays: [ssh: false, ssh] }
`)
  assert.equal(overlaysOf(nodeOf(cluster, 'plain')), 'hostname ssh gpu-mem cgroups docker my-own')
  const more = nodeOf(cluster, 'more')
  assert.equal(overlaysOf(more), 'hostname gpu-mem docker my-own')
  assert.deepEqual(more.overlays[1]?.parameters, { a: 1, deep: { x: 1, y: 2 }, b: 3, list: [1] })
  assert.deepEqual(more.overlays[1]?.place, { file: 'cluster.yaml', line: 7, column: 44 })
  assert.equal(overlaysOf(nodeOf(cluster, 'again')), 'hostname ssh gpu-mem cgroups docker my-own')
})

test('interfaces: what follows from model, slot and controller', async () => {
  const cluster = await parseRight(`${head}nodes:
  lone: { model: pi4 }
  radio: { model: zero2w, wifi: { ssid: open, country: DE } }
  both: { model: pi4, address: 10.0.0.2/24, gateway: 10.0.0.1, wifi: { ssid: open, country: DE } }
  ctrl: { model: pi4, clusterhat: cbridge }
  zero: { model: zero2w, clusterhat: p252 }
  fixed: { model: zero2w, clusterhat: p7, address: 10.0.0.7/24 }
`)
  assert.deepEqual(
    cluster.nodes.map((node) => [node.name, networkOf(node), node.wifi?.psk]),
    [
      ['lone', ['eth0 dhcp -'], undefined],
      ['radio', ['wlan0 dhcp -'], undefined],
      ['both', ['eth0 10.0.0.2/24 10.0.0.1', 'wlan0 dhcp -'], undefined],
      ['ctrl', ['br0 dhcp -'], undefined],
      ['zero', ['usb0 dhcp -'], undefined],
      ['fixed', ['usb0 10.0.0.7/24 -'], undefined],
    ],
  )
})

test('a thousand nodes are read without a thousand hashes', async () => {
  const lines = Array.from(
    { length: 1000 },
    (_, index) => `  n${index}: { address: 10.9.${Math.floor(index / 250)}.${(index % 250) + 1}/16 }`,
  )
  const cluster = await parseRight(
    `${head}model: pi4\nuser: { name: ops, passwordFile: pi.password }\nwifi: { ssid: a, country: DE, passphraseFile: wifi.passphrase }\nnodes:\n${lines.join('\n')}\n`,
  )
  assert.equal(cluster.nodes.length, 1000)
  assert.equal(new Set(cluster.nodes.map(({ user }) => user?.passwordHash)).size, 1)
  assert.equal(new Set(cluster.nodes.map(({ wifi }) => wifi?.psk)).size, 1)
})
