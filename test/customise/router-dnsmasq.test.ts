/** What dnsmasq is told on the router; dnsmasq itself is the judge of its form. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { contains, formatIpv4, lastOf, networkOf } from '../../src/cluster/ipv4.ts'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { UsageError } from '../../src/errors.ts'
import { formatRouterDnsmasq, freeRange } from '../../src/features/router/dnsmasq.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { makeCluster, makeNode } from './cluster.ts'

const eth0 = (ip: string) => [{ name: 'eth0', address: { ip, prefix: 24 }, dns: [] }]
const caspar = makeNode({
  name: 'caspar',
  role: 'head',
  interfaces: [...eth0('10.3.50.1'), { name: 'wlan0', dns: [] }],
  router: { uplink: 'wlan0', lan: 'eth0' },
})
const balthasar = makeNode({
  name: 'balthasar',
  interfaces: eth0('10.3.50.11'),
  mac: 'e4:5f:01:fc:aa:29',
})
const guest = makeNode({
  name: 'guest',
  interfaces: [{ name: 'eth0', dns: [] }],
  mac: 'e4:5f:01:00:00:02',
})
const magi = (network: Partial<Cluster['network']> = {}, nodes: Node[] = [caspar, balthasar, guest]) =>
  makeCluster(nodes, {
    network: { cidr: '10.3.50.0/24', gateway: '10.3.50.1', dns: ['10.3.50.1', '9.9.9.9'], ...network },
  })

const start = `# DHCP and DNS of the cluster; made by piimage.
interface=eth0
bind-dynamic
domain-needed
bogus-priv
no-hosts
server=9.9.9.9
`
const lent = `dhcp-option=option:router,10.3.50.1
dhcp-option=option:dns-server,10.3.50.1
dhcp-host=e4:5f:01:fc:aa:29,balthasar,10.3.50.11
dhcp-host=e4:5f:01:00:00:02,guest
`
const cases: { name: string; network: Partial<Cluster['network']>; expected: string }[] = [
  {
    name: 'a domain and a range',
    network: { domain: 'cluster', dhcp: { from: '10.3.50.100', to: '10.3.50.199', lease: '12h' } },
    expected: `${start}domain=cluster
local=/cluster/
host-record=caspar,caspar.cluster,10.3.50.1
host-record=balthasar,balthasar.cluster,10.3.50.11
dhcp-authoritative
dhcp-range=10.3.50.100,10.3.50.199,255.255.255.0,12h
${lent}`,
  },
  {
    name: 'nothing said: a range that no node is in',
    network: {},
    expected: `${start}host-record=caspar,10.3.50.1
host-record=balthasar,10.3.50.11
dhcp-authoritative
dhcp-range=10.3.50.155,10.3.50.254,255.255.255.0,12h
${lent}`,
  },
  {
    name: "somebody else's DHCP server",
    network: { dhcp: 'proxy' },
    expected: `${start}host-record=caspar,10.3.50.1\nhost-record=balthasar,10.3.50.11\n`,
  },
]
for (const { name, network, expected } of cases)
  test(`dnsmasq on the router: ${name}`, (t) => {
    const text = formatRouterDnsmasq(caspar, magi(network))
    assert.equal(text, expected)
    const dnsmasq = needTool(t, 'dnsmasq', 'dnsmasq-base')
    if (dnsmasq === undefined) return
    const file = join(tempFolder(t), 'dnsmasq.conf')
    writeFileSync(file, text)
    const checked = run(dnsmasq, ['--test', '-C', file])
    assert.equal(checked.status, 0, checked.stderr)
  })

test('the range is free, inside the network, and as long as it can be up to 100', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 30 }).chain((prefix) =>
        fc.record({
          network: fc.constant(networkOf(0x0a033200, prefix)),
          used: fc.array(fc.integer({ min: 0, max: 2 ** (32 - prefix) - 1 }), { maxLength: 8 }),
        }),
      ),
      ({ network, used }) => {
        const addresses = used.map((offset) => network.base + offset)
        const range = freeRange(network, addresses)
        if (range === undefined) return
        assert.ok(range.from > network.base && range.to < lastOf(network) && range.from <= range.to)
        assert.ok(range.to - range.from < 100)
        for (const address of addresses)
          assert.ok(address < range.from || address > range.to, formatIpv4(address))
      },
    ),
  )
  // Two addresses, both taken.
  const small = networkOf(0x0a033200, 30)
  assert.equal(freeRange(small, [small.base + 1, small.base + 2]), undefined)
  assert.ok(contains(small, freeRange(small, [small.base + 1])?.from ?? 0))
})

const nasty: { name: string; network?: Partial<Cluster['network']>; node?: Partial<Node> }[] = [
  { name: 'a domain with a comma', network: { domain: 'a,b' } },
  { name: 'a domain with a line end', network: { domain: 'a\ndhcp-script=/bin/sh' } },
  { name: 'a name with a blank', node: { name: 'a b' } },
  {
    name: 'a lease with a comment',
    network: { dhcp: { from: '10.3.50.2', to: '10.3.50.3', lease: '1h #' } },
  },
  { name: 'a MAC with more behind it', node: { mac: 'e4:5f:01:fc:aa:29,set:x' } },
  { name: 'an empty domain', network: { domain: '' } },
]
for (const { name, network, node } of nasty)
  test(`dnsmasq on the router refuses ${name}`, () => {
    const cluster = magi(network, [caspar, makeNode({ ...balthasar, ...node })])
    assert.throws(() => formatRouterDnsmasq(caspar, cluster), UsageError)
  })

test('a node that is no router has no such settings', () => {
  assert.throws(
    () => formatRouterDnsmasq(balthasar, magi()),
    /balthasar is not a router with a fixed address/,
  )
})
