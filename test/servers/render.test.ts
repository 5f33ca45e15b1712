import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServedCluster } from '../../src/netroot/served.ts'
import { parseDnsmasqSettings } from '../../src/servers/dnsmasq-settings.ts'
import { BARE_MACHINE, type Machine } from '../../src/servers/machine.ts'
import { renderServers } from '../../src/servers/render.ts'
import { DNSMASQ_FILE, EXPORTS_FILE, RESERVATIONS_FILE } from '../../src/servers/server-file.ts'
import { overlayOf, servedCluster, servedNode } from './served-cluster.ts'

const DROP_IN = '/etc/systemd/system/dnsmasq.service.d/piimage.conf'
const contentOf = (path: string, served: ServedCluster, machine?: Machine): string =>
  renderServers(served, machine).find((file) => file.path === path)?.content ?? ''
const beside = (file: string, text: string): Machine => ({
  exports: [],
  dnsmasq: [{ file, settings: parseDnsmasqSettings(text) }],
})
const router = '/etc/dnsmasq.d/piimage-router.conf'

test('the same cluster gives the same bytes, each file says whose it is, and nobody else may write it', () => {
  const served = servedCluster({ nodes: [servedNode(1, { overlay: overlayOf('node01') }), servedNode(2)] })
  const files = renderServers(served)
  assert.deepEqual(renderServers(served), files)
  for (const { path, mode, content } of files) {
    assert.match(content, /^# Made by piimage netroot.*\n#.*piimage netroot remove/, path)
    assert.equal(mode & 0o022, 0)
  }
  assert.equal(new Set(files.map(({ path }) => path)).size, files.length)
})

const settings = servedCluster()
const rows: { name: string; served: ServedCluster; machine?: Machine; has: string[]; lacks: RegExp }[] = [
  {
    name: 'own range',
    served: settings,
    has: [
      'interface=eth0',
      'bind-dynamic',
      'port=0',
      'dhcp-range=set:piimage-netroot,10.3.50.0,static,255.255.255.0,12h',
      'dhcp-hostsfile=/etc/piimage/netroot/dhcp-hosts',
      'pxe-service=tag:piimage-pi,0,"Raspberry Pi Boot   "',
      'dhcp-mac=set:piimage-3b,dc:a6:32:00:00:02',
      'dhcp-reply-delay=tag:piimage-3b,1',
      'tftp-root=/srv/piimage/tftp,eth0',
      'log-dhcp',
    ],
    lacks: /tftp-unique-root|proxy/,
  },
  {
    name: 'no 3B, MAC layout',
    served: servedCluster({ nodes: [servedNode(1, { tftpNames: ['dc-a6-32-00-00-01'] })] }),
    has: ['tftp-unique-root=mac'],
    lacks: /piimage-3b|dhcp-reply-delay/,
  },
  {
    name: 'proxy',
    served: servedCluster({ network: { cidr: '10.3.50.0/24', dns: [], dhcp: 'proxy' } }),
    has: ['dhcp-range=10.3.50.0,proxy,255.255.255.0', 'port=0'],
    lacks: /dhcp-hostsfile|dhcp-authoritative|dhcp-option/,
  },
  {
    name: 'the router lends',
    served: settings,
    machine: beside(router, 'interface=eth0\ndhcp-range=10.3.50.100,10.3.50.199,255.255.255.0,12h'),
    has: ['dhcp-hostsfile=/etc/piimage/netroot/dhcp-hosts'],
    lacks: /^(port=|dhcp-range|dhcp-option|dhcp-authoritative)/m,
  },
  {
    name: 'the router faces another network',
    served: settings,
    machine: beside(router, 'interface=eth1\ndhcp-range=10.9.9.100,10.9.9.199,255.255.255.0,12h'),
    has: ['dhcp-range=set:piimage-netroot,10.3.50.0,static,255.255.255.0,12h'],
    lacks: /^port=/m,
  },
  {
    name: 'a virtual network keeps dnsmasq off its interface',
    served: settings,
    machine: beside('/etc/dnsmasq.d/libvirt', 'except-interface=virbr0'),
    has: ['port=0'],
    lacks: /virbr0/,
  },
]
for (const { name, served, machine, has, lacks } of rows)
  test(`dnsmasq: ${name}`, () => {
    const text = contentOf(DNSMASQ_FILE, served, machine)
    const lines = text.split('\n')
    for (const line of has) assert.ok(lines.includes(line), `${line} in\n${text}`)
    assert.doesNotMatch(text, lacks)
  })

test('a dnsmasq that answers no names is not told to resolvconf as one that does', () => {
  assert.match(contentOf(DROP_IN, settings), /^ExecStartPost=$/m)
  const machine = beside(router, 'interface=eth0\ndhcp-range=10.3.50.100,10.3.50.199')
  assert.doesNotMatch(contentOf(DROP_IN, settings, machine), /ExecStartPost/)
})

test('boards that are not known yet get no reservation; Zeros get no dnsmasq', () => {
  const { mac: _, ...unknown } = servedNode(2)
  const text = contentOf(RESERVATIONS_FILE, servedCluster({ nodes: [servedNode(1), unknown] }))
  assert.deepEqual(
    text.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
    ['dc:a6:32:00:00:01,10.3.50.11,node01'],
  )
  const zeros = renderServers(servedCluster({ nodes: [servedNode(1, { model: 'zerow' })] }), BARE_MACHINE)
  assert.ok(zeros.some(({ path }) => path === EXPORTS_FILE))
  assert.ok(zeros.every(({ path }) => !/dnsmasq|logrotate|dhcp/.test(path)))
})

test('a node that is not on the server’s network is named', () => {
  const nodes = [servedNode(1), servedNode(2, { ip: '10.3.51.12' })]
  assert.throws(() => renderServers(servedCluster({ nodes })), /node node02 has 10\.3\.51\.12/)
})
