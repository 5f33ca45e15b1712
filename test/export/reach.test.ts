import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planReach } from '../../src/export/reach.ts'
import { made, story } from './support.ts'

const nodes = (text: string) => `nodes:\n${text}`
const cases: { name: string; text: string; reach: string[] }[] = [
  {
    name: 'all on one network',
    text: nodes(
      '  a: { model: pi4, address: 10.3.50.1/24 }\n  b: { model: pi4, address: 10.3.50.2/24 }\n  c: { model: pi4 }\n',
    ),
    reach: ['a 10.3.50.1', 'b 10.3.50.2', 'c c.local'],
  },
  {
    name: 'a head that does not route is nobody to jump through',
    text: `join: { kind: swarm, head: a }\n${nodes('  a: { model: pi4, address: 192.168.1.10/24 }\n  b: { model: pi4, address: 192.168.1.11/24 }\n')}`,
    reach: ['a 192.168.1.10', 'b 192.168.1.11'],
  },
  {
    name: 'a router with a fixed uplink; DHCP, Wi-Fi and another network behind and beside it',
    text: nodes(`  r:
    model: pi4
    address: 10.3.50.1/24
    router: { uplink: eth1, lan: eth0 }
    interfaces: { eth1: { address: 192.168.1.5/24 } }
  a: { model: pi4, address: 10.3.50.2/24 }
  b: { model: pi4 }
  c: { model: zero2w, wifi: { ssid: home, passphraseFile: wifi.passphrase, country: DE } }
  d: { model: pi4, address: 192.168.1.6/24 }
`),
    reach: ['r 192.168.1.5', 'a 10.3.50.2 via r', 'b b.local via r', 'c c.local', 'd 192.168.1.6'],
  },
  {
    name: 'CBRIDGE: the Zeros are on the LAN',
    text: nodes('  h: { model: pi3b+, clusterhat: cbridge }\n  z: { model: zero2w, clusterhat: p1 }\n'),
    reach: ['h h.local', 'z z.local'],
  },
  {
    name: 'a ClusterHAT behind a router',
    text: nodes(`  r: { model: pi4, address: 10.3.50.1/24, router: { uplink: eth1, lan: eth0 } }
  h: { model: pi3b+, clusterhat: cnat, interfaces: { eth0: { address: 10.3.50.7/24 } } }
  z: { model: zero2w, clusterhat: p1 }
`),
    reach: ['r r.local', 'h 10.3.50.7 via r', 'z 172.19.181.1 via h'],
  },
]

const gate = (name: string, inner: string, outer: string) =>
  `  ${name}: { model: pi4, address: ${inner}/24, router: { uplink: eth1, lan: eth0 }, interfaces: { eth1: { address: ${outer}/24 } } }\n`
cases.push(
  {
    name: 'each of two gates in the network behind the other: the first one is reached directly',
    text: nodes(gate('r', '10.3.50.1', '10.4.0.2') + gate('s', '10.4.0.1', '10.3.50.2')),
    reach: ['r 10.4.0.2', 's 10.3.50.2 via r'],
  },
  {
    name: 'a gate in the network of one that the file names later',
    text: nodes(gate('h', '10.9.0.1', '10.3.50.7') + gate('r', '10.3.50.1', '192.168.1.5')),
    reach: ['h 10.3.50.7', 'r 192.168.1.5'],
  },
)

const show = (cluster: Parameters<typeof planReach>[0], known?: Map<string, string>): string[] =>
  planReach(cluster, known).map(({ node, address, through }) =>
    [node.name, address, ...(through === undefined ? [] : ['via', through.node.name])].join(' '),
  )

for (const { name, text, reach } of cases)
  test(`reach: ${name}`, async () => assert.deepEqual(show(await made(text)), reach))

test('reach: the examples', async () => {
  assert.deepEqual(show(await story('clusterhat')), [
    'hammond hammond.local',
    'oneil 172.19.181.1 via hammond',
    'carter 172.19.181.2 via hammond',
    'tealc 172.19.181.3 via hammond',
    'danieljackson 172.19.181.4 via hammond',
  ])
  assert.deepEqual(show(await story('magi'), new Map([['caspar', '192.168.0.202']])), [
    'caspar 192.168.0.202',
    'balthasar 10.3.50.11 via caspar',
    'melchior 10.3.50.12 via caspar',
  ])
  assert.deepEqual(show(await story('feeder-diskless')).slice(0, 2), [
    'cluster00 192.168.1.100',
    'cluster01 192.168.1.101',
  ])
})
