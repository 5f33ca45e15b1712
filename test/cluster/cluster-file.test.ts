import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { MistakesError, UsageError } from '../../src/errors.ts'
import { createClusterKey } from '../../src/secrets/cluster-key.ts'
import { sha512crypt } from '../../src/secrets/sha512crypt.ts'
import { tempFolder } from '../support/temp.ts'
import { formatMistakes, options, parse, parseRight, publicLine, readStory, storyNames } from './support.ts'

const nodeOf = (cluster: Cluster, name: string): Node => {
  const node = cluster.nodes.find((one) => one.name === name)
  assert.ok(node, `no node ${name}`)
  return node
}
const overlaysOf = (node: Node): string => node.overlays.map(({ name }) => name).join(' ')
const networkOf = (node: Node): string[] =>
  node.interfaces.map(({ name, address, dns }) =>
    [
      name,
      address === undefined ? 'dhcp' : `${address.ip}/${address.prefix}`,
      address?.gateway ?? '-',
      ...dns,
    ].join(' '),
  )

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
  feeder: {
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
  const cluster = await parseRight(readStory('feeder'))
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

const head = 'cluster: sgc\nimage: raspios-bookworm-arm64-lite@2025-05-13\n'

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

test('all mistakes of a file at once, in reading order', async () => {
  const { mistakes } = await parse(`cluster: SGC
iamge: x
user: { name: root, sshKeys: [nowhere.pub] }
overlays: [ssh, { docker: true }]
nodes:
  worker_default: { model: pi44, address: 10.3.50.11, serial: 00e1 }
  caspar: { model: zero, image: raspios-bookworm-arm64-lite@2025-05-13, address: 10.3.50.1/32, boot: net }
`)
  assert.deepEqual(
    mistakes.map(({ line, column, message }) => `${line}:${column} ${message}`),
    [
      '1:10 cluster: "SGC" is no host name',
      '2:1 unknown key "iamge"',
      '3:15 user.name: "root" can\'t be the user',
      '3:31 there is no file "nowhere.pub"',
      "4:27 overlays[1].docker can't be true",
      '6:3 "worker_default" is no host name',
      '6:3 worker_default has no "image"',
      '6:28 nodes.worker_default.model: "pi44" is no model',
      '6:43 nodes.worker_default.address: "10.3.50.11" has no prefix length',
      '6:63 nodes.worker_default.serial is the number 0; it should be text',
      '7:33 caspar is a Raspberry Pi Zero (armv6, 32-bit), and raspios-bookworm-arm64-lite@2025-05-13 is a 64-bit image',
      '7:82 nodes.caspar.address: "10.3.50.1/32" leaves no room for neighbours: /32 reaches no other node',
      "7:102 caspar is a Raspberry Pi Zero, which can't boot from the network",
    ],
  )
})

test('columns count characters, not UTF-16 units or bytes', async () => {
  const { mistakes } = await parse(
    `${head}nodes: { oneil: { model: pi4, wifi: { ssid: "🦊é", country: QQ } } }\n`,
  )
  assert.deepEqual(
    mistakes.map(({ line, column }) => [line, column]),
    [[3, 60]],
  )
})

test('what a file says cannot command a terminal', async () => {
  const { mistakes } = await parse(`${head}nodes: { "\\e[31m": { model: pi4, serial: "\\u202e\\x9b" } }`)
  assert.equal(mistakes.length, 2)
  assert.ok(!/[\p{Cc}\p{Cf}]/u.test(mistakes.map(({ message, hint }) => message + hint).join('')))
})

const warned: [name: string, text: string, said: RegExp][] = [
  [
    'pass phrase in git',
    `${head}nodes: { a: { model: pi4, wifi: { ssid: a, country: DE, passphrase: "a pass phrase" } } }`,
    /^3:57: wifi.passphrase puts a secret into a file that git keeps/m,
  ],
  ['nobody can log in', `${head}nodes: { a: { model: pi4 } }`, /^3:1: no node has a user/m],
  [
    'no key, no password',
    `${head}user: { name: ops }\nnodes: { a: { model: pi4 } }`,
    /^3:1: the user has neither/m,
  ],
  [
    'gateway does not route',
    `${head}network: { cidr: 10.3.50.0/24, gateway: 10.3.50.1 }\nnodes: { a: { model: pi4, address: 10.3.50.1/24 } }`,
    /^3:41: the gateway is a, which does not route/m,
  ],
  [
    'no name server',
    `${head}nodes: { a: { model: pi4, address: 10.3.50.1/24 } }`,
    /^3:36: a has a fixed address and no name server/m,
  ],
  [
    'swarm on 10.0.0.0/8',
    `${head}network: { cidr: 10.3.50.0/24 }\njoin: { kind: swarm, head: a }\nnodes: { a: { model: pi4, address: 10.3.50.1/24 } }`,
    /^3:18: the network 10.3.50.0\/24 collides with Swarm's address pool/m,
  ],
  [
    'image older than the board',
    `cluster: a\nimage: raspbian-stretch-armhf-lite@2018-11-13\nnodes: { a: { model: pi4 } }`,
    /^3:10: raspbian-stretch.* is older than the Raspberry Pi 4/m,
  ],
  [
    'Zero without network',
    `${head}nodes: { a: { model: zero2w } }`,
    /^3:10: a is a Raspberry Pi Zero 2 W without any network/m,
  ],
  [
    'diskless board unknown',
    `${head}nodes: { a: { model: pi4, boot: net } }`,
    /^3:33: a boots from the network, and neither mac nor serial/m,
  ],
  [
    'group of nobody',
    `${head}groups: { g: {} }\nnodes: { a: { model: pi4 } }`,
    /^3:11: no node is in the group g/m,
  ],
  [
    'slot without controller',
    `${head}nodes: { a: { model: zero2w, clusterhat: p1 } }`,
    /^3:42: a is in a ClusterHAT slot, and no node is its controller/m,
  ],
]
for (const [name, text, said] of warned)
  test(`warning: ${name}`, async () => {
    const cluster = await parseRight(text)
    assert.match(formatMistakes(cluster.warnings), said)
  })

test('without a lock and without overlays, any image and any overlay may be right', async () => {
  const { imageKeys, archOf, overlayNames, ...rest } = options
  const { mistakes } = await parse(
    `cluster: a\nimage: x@1\noverlays: [anything]\nnodes: { a: { model: pi4 } }`,
    {
      ...rest,
      imageKeys: undefined as never,
      archOf: undefined as never,
      overlayNames: undefined as never,
    },
  )
  assert.deepEqual(mistakes, [])
})

test('secrets are in no message, whatever is wrong with them', async () => {
  const secret = 'hunter2hunter2'
  const { mistakes } = await parse(`${head}nodes:
  a: { model: pi4, wifi: { ssid: a, country: DE, psk: ${secret} } }
  b: { model: pi4, wifi: { ssid: a, country: DE, passphrase: "${secret}ü" } }
  c: { model: pi4, user: { name: a, passwordHash: ${secret} } }
  d: { model: pi4, user: { name: a, passwordHash: [${secret}] } }
  e: { model: pi4, user: { name: a, sshKeys: ${secret} } }
  f: { model: pi4, user: { name: a, passwordFile: open.password } }
  g: { model: pi4, wifi: { ssid: a, country: DE, pskFile: wifi.passphrase } }
`)
  assert.equal(mistakes.length, 7)
  assert.ok(!JSON.stringify(mistakes).includes('hunter2'))
  assert.ok(!JSON.stringify(mistakes).includes('eight or more'))
})

test('secrets are in no JSON of a cluster', async () => {
  const text = JSON.stringify(await parseRight(readStory('magi')))
  assert.match(text, /"psk":"<secret>"/)
})

test('names of JavaScript are only names', async () => {
  const cluster = await parseRight(`${head}groups: { constructor: { model: pi4 } }
nodes:
  constructor: { group: constructor }
  tostring: { model: pi4, overlays: [my-own: { __proto__: { polluted: 1 }, constructor: 2 }] }
`)
  assert.deepEqual(
    cluster.nodes.map(({ name }) => name),
    ['constructor', 'tostring'],
  )
  assert.equal(({} as { polluted?: number }).polluted, undefined)
  const { mistakes } = await parse(`${head}nodes: { a: { model: pi4, group: toString } }`)
  assert.equal(mistakes.length, 1)
})

test('property: any text gives a cluster or mistakes, never an exception', async () => {
  const yamlish = fc.array(
    fc.constantFrom(
      'cluster',
      'nodes',
      ':',
      ' ',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '&a',
      '*a',
      '!t',
      '|',
      '>',
      '#',
      ',',
      '?',
      'a',
      '0',
      '\t',
      '---',
      '%',
      '<<',
      '\ufeff',
      '\u0000',
      '🦊',
      'null',
      '~',
      '__proto__',
    ),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        yamlish.map((parts) => parts.join('')),
      ),
      async (text) => {
        const { cluster, mistakes } = await parse(text)
        assert.ok(cluster === undefined ? mistakes.length > 0 : mistakes.length === 0)
      },
    ),
    { numRuns: 400 },
  )
})

test('property: a story with one place changed gives a cluster or mistakes at places that exist', async () => {
  const nasty = [
    '',
    '"',
    "'",
    '$(id)',
    '%s',
    '\n',
    '-',
    ': ',
    '{',
    ']',
    '&x ',
    '*x',
    '\t',
    '1e9',
    'null',
    '..',
    '\u0000',
    '🦊',
    '# ',
    '!!binary ',
    '~',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...storyNames),
      fc.nat(),
      fc.nat(12),
      fc.constantFrom(...nasty),
      async (story, at, cut, put) => {
        const text = readStory(story)
        const offset = at % text.length
        const changed = text.slice(0, offset) + put + text.slice(offset + cut)
        const { cluster, mistakes } = await parse(changed)
        assert.ok(cluster === undefined ? mistakes.length > 0 : mistakes.length === 0)
        const lines = changed.split(/\r\n|\n|\r/)
        for (const { line, column, message, hint } of mistakes) {
          assert.ok(line >= 1 && line <= lines.length, `${line}: ${message}`)
          assert.ok(
            column >= 1 && column <= [...(lines[line - 1] ?? '')].length + 1,
            `${line}:${column}: ${message}`,
          )
          assert.ok(message !== '' && hint !== undefined && hint !== '', message)
          assert.ok(!/undefined|\[object/.test(message + hint), message)
        }
      },
    ),
    { numRuns: 400 },
  )
})

test('nasty values are refused with their place, or kept to the letter', async () => {
  const values = [
    '"',
    "'",
    '$(reboot)',
    '`id`',
    '%s',
    'a\nb',
    'a\u0000b',
    '-rf',
    '\\',
    'ü🦊',
    ' a ',
    '*',
    'a;b',
    '\u202eabc',
  ]
  for (const value of values) {
    const quoted = JSON.stringify(value)
    const { cluster } = await parse(
      `${head}nodes: { a: { model: pi4, wifi: { ssid: ${quoted}, country: DE } } }`,
    )
    if (cluster !== undefined) assert.equal(cluster.nodes[0]?.wifi?.ssid, value)
    else assert.ok(value.includes('\n') || value.includes('\u0000'))
    for (const settings of [
      `user: { name: ${quoted} }`,
      `locale: { keymap: ${quoted} }`,
      `locale: { timezone: ${quoted} }`,
      `interface: ${quoted}`,
      `labels: { a: ${quoted} }`,
      `mac: ${quoted}`,
    ]) {
      const { mistakes } = await parse(`${head}nodes: { a: { model: pi4, ${settings} } }`)
      assert.equal(mistakes.length, 1, settings)
    }
  }
})

test('readCluster: the file and what lies beside it', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'keys'))
  writeFileSync(join(folder, 'keys', 'id_ed25519.pub'), publicLine)
  writeFileSync(join(folder, 'pi.password'), 'raspberry\n', { mode: 0o600 })
  const path = join(folder, 'cluster.yaml')
  writeFileSync(path, `\ufeff${readStory('chappa-ai').replaceAll('\n', '\r\n')}`)

  await assert.rejects(readCluster(path), (error: unknown) => {
    assert.ok(error instanceof MistakesError)
    assert.equal(error.exitCode, 2)
    assert.match(
      error.message,
      /^.*cluster\.yaml:4:65: there is no cluster key at .*cluster\.key \(Make one with piimage init/,
    )
    return true
  })
  await createClusterKey(join(folder, 'cluster.key'))
  const cluster = await readCluster(path)
  assert.equal(cluster.folder, folder)
  assert.equal(cluster.file, path)
  assert.deepEqual(cluster.nodes[0]?.user?.sshKeys, [publicLine])

  chmodSync(join(folder, 'pi.password'), 0o640)
  await assert.rejects(
    readCluster(path),
    /4:65: "pi.password" holds a secret and can be read by others \(mode 0640\)/,
  )
})

test('readCluster: missing, a folder, no UTF-8', async (t) => {
  const folder = tempFolder(t)
  const path = join(folder, 'cluster.yaml')
  await assert.rejects(readCluster(path), UsageError)
  await assert.rejects(readCluster(folder), UsageError)
  writeFileSync(path, Buffer.from([0x63, 0x3a, 0xff, 0xfe]))
  await assert.rejects(readCluster(path), /is no UTF-8 text/)
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
