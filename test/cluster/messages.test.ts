import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MistakesError } from '../../src/errors.ts'
import { formatMistakes, head, options, parse, parseRight, readStory } from './support.ts'

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
      '1:10 cluster: "SGC" is not a valid host name',
      '2:1 unknown key "iamge"',
      '3:15 user.name: "root" can\'t be the user',
      '3:31 there is no file "nowhere.pub"',
      "4:27 overlays[1].docker can't be true",
      '6:3 "worker_default" is not a valid host name',
      '6:3 worker_default has no "image"',
      '6:28 nodes.worker_default.model: "pi44" is not a valid model',
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
  assert.doesNotMatch(new MistakesError(mistakes).message.replace('\n', ''), /[\p{Cc}\p{Cf}]/u)
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
  [
    'address without a way out',
    `${head}nodes: { a: { model: pi4, address: 10.0.0.2/24 } }`,
    /^3:36: a has a fixed address and no gateway: it reaches nothing outside its own network/m,
  ],
]
for (const [name, text, said] of warned)
  test(`warning: ${name}`, async () => {
    const cluster = await parseRight(text)
    assert.match(formatMistakes(cluster.warnings), said)
  })

test('without a lock and without overlays, any image and any overlay may be right', async () => {
  const { imageKeys, imageOf, overlayNames, ...rest } = options
  const { mistakes } = await parse(
    `cluster: a\nimage: x@1\noverlays: [anything]\nnodes: { a: { model: pi4 } }`,
    {
      ...rest,
      imageKeys: undefined as never,
      imageOf: undefined as never,
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
