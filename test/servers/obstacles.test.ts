import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { NetrootError } from '../../src/errors.ts'
import type { ServedCluster } from '../../src/netroot/served.ts'
import { parseDnsmasqSettings } from '../../src/servers/dnsmasq-settings.ts'
import type { Machine, RunningMachine } from '../../src/servers/machine.ts'
import { checkServable, listObstacles } from '../../src/servers/obstacles.ts'
import { parseListeners, readMachine } from '../../src/servers/read-machine.ts'
import { renderServers } from '../../src/servers/render.ts'
import { DNSMASQ_FILE, EXPORTS_FILE } from '../../src/servers/server-file.ts'
import { known } from '../support/known.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool } from '../support/tools.ts'
import { NetLab } from './net-lab.ts'
import { STATE, servedCluster, servedNode } from './served-cluster.ts'

const fit: RunningMachine = {
  interfaces: [
    { name: 'lo', addresses: [{ ip: '127.0.0.1', prefix: 8 }] },
    { name: 'eth0', addresses: [{ ip: '10.3.50.1', prefix: 24 }] },
  ],
  uplinks: ['wlan0'],
  listeners: [],
  nfsServer: true,
  freeBytes: 1e9,
}
const eth0 = (...addresses: { ip: string; prefix: number }[]) => ({
  interfaces: [{ name: 'eth0', addresses }],
})
const ss = (text: string) => ({ listeners: parseListeners(text, '812') })
const dnsmasq = (file: string, text: string) => ({
  dnsmasq: [{ file, settings: parseDnsmasqSettings(text) }],
})
const proxy = { network: { cidr: '10.3.50.0/24', dns: [], dhcp: 'proxy' as const } }
const router = '/etc/dnsmasq.d/piimage-router.conf'

const rows: {
  name: string
  running?: Partial<RunningMachine>
  machine?: Partial<Machine>
  served?: Partial<ServedCluster>
  /** Matched one by one; none: it can serve. */
  says: RegExp[]
}[] = [
  { name: 'a machine that can serve', says: [] },
  { name: 'no such interface', running: { interfaces: [] }, says: [/no interface eth0/] },
  { name: 'no address', running: eth0(), says: [/eth0 does not have .* 10\.3\.50\.1 \(it has none\)/] },
  {
    name: 'another address',
    running: eth0({ ip: '192.0.2.7', prefix: 24 }),
    says: [/10\.3\.50\.1 \(192\.0\.2\.7\/24\)/],
  },
  {
    name: 'an address without a prefix',
    running: eth0({ ip: '10.3.50.1', prefix: 32 }),
    says: [/10\.3\.50\.1\/32, so it reaches no node/],
  },
  {
    name: 'another prefix',
    running: eth0({ ip: '10.3.50.1', prefix: 16 }),
    says: [/10\.3\.50\.1\/16, so its network is not the cluster's/],
  },
  { name: 'the way out', running: { uplinks: ['eth0'] }, says: [/eth0 is this machine's way out/] },
  { name: 'the way out, beside its DHCP server', running: { uplinks: ['eth0'] }, served: proxy, says: [] },
  {
    name: 'another DHCP server',
    running: ss('udp UNCONN 0 0 0.0.0.0:67 0.0.0.0:* users:(("dhcpd",pid=77,fd=9))'),
    says: [/dhcpd has udp port 67/],
  },
  {
    name: 'another TFTP server',
    running: ss('udp UNCONN 0 0 *:69 *:* users:(("in.tftpd",pid=77,fd=9))'),
    says: [/in\.tftpd has udp port 69/],
  },
  {
    name: 'our own dnsmasq, and somebody else’s elsewhere',
    running: ss(
      [
        'udp UNCONN 0 0 0.0.0.0%eth0:67 0.0.0.0:* users:(("dnsmasq",pid=812,fd=4))',
        'udp UNCONN 0 0 10.3.50.1:69 0.0.0.0:* users:(("dnsmasq",pid=812,fd=6))',
        'udp UNCONN 0 0 0.0.0.0%virbr0:67 0.0.0.0:* users:(("dnsmasq",pid=900,fd=4))',
        'udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=5,fd=4))',
        'tcp LISTEN 0 64 0.0.0.0:2049 0.0.0.0:*',
      ].join('\n'),
    ),
    says: [],
  },
  {
    name: 'an NFS server in user space',
    running: ss('tcp LISTEN 0 64 *:2049 *:* users:(("ganesha.nfsd",pid=77,fd=9))'),
    says: [/ganesha\.nfsd has tcp port 2049/],
  },
  {
    name: 'somebody answers names where the router’s dnsmasq must',
    running: ss('udp UNCONN 0 0 0.0.0.0:53 0.0.0.0:* users:(("named",pid=77,fd=9))'),
    machine: dnsmasq(router, 'interface=eth0\ndhcp-range=10.3.50.100,10.3.50.199'),
    says: [/named has udp port 53/],
  },
  {
    name: 'somebody answers names, and we do not',
    running: ss('udp UNCONN 0 0 0.0.0.0:53 0.0.0.0:* users:(("named",pid=77,fd=9))'),
    says: [],
  },
  { name: 'no NFS in the kernel', running: { nfsServer: false }, says: [/no NFS server \(nfsd\)/] },
  { name: 'no room', running: { freeBytes: 1e6 }, says: [/1\.0 MB are free at \/srv\/piimage/] },
  {
    name: 'dnsmasq has another job',
    machine: dnsmasq('/etc/dnsmasq.d/home.conf', '# home\nexcept-interface=virbr0\n\nserver=9.9.9.9 # out\n'),
    says: [/^\/etc\/dnsmasq\.d\/home\.conf:4 gives dnsmasq .* \(server=9\.9\.9\.9\)/],
  },
  {
    name: 'what a virtual network says to dnsmasq',
    machine: dnsmasq('/etc/dnsmasq.d/libvirt', 'except-interface=virbr0\n'),
    says: [],
  },
  {
    name: 'Zeros alone need no dnsmasq',
    machine: dnsmasq('/etc/dnsmasq.d/home.conf', 'port=53'),
    running: ss('udp UNCONN 0 0 0.0.0.0:67 0.0.0.0:* users:(("dhcpd",pid=77,fd=9))'),
    served: { nodes: [servedNode(1, { model: 'zero' })] },
    says: [],
  },
  {
    name: 'everything at once',
    running: { ...eth0(), uplinks: ['eth0'], nfsServer: false },
    says: [/does not have/, /way out/, /nfsd/],
  },
]
for (const { name, running, machine, served, says } of rows)
  test(`obstacles: ${name}`, () => {
    const cluster = servedCluster(served)
    const found: Machine = { dnsmasq: [], exports: [], ...machine, running: { ...fit, ...running } }
    const obstacles = listObstacles(cluster, found)
    assert.equal(obstacles.length, says.length, JSON.stringify(obstacles))
    for (const [index, pattern] of says.entries()) {
      assert.match(obstacles[index]?.message ?? '', pattern)
      assert.notEqual(obstacles[index]?.hint, '')
    }
    if (says.length === 0) checkServable(cluster, found)
    else assert.throws(() => checkServable(cluster, found), NetrootError)
  })

const contradictions: { name: string; settings: string; served?: Partial<ServedCluster>; says: RegExp }[] = [
  {
    name: 'another address for a board',
    settings: 'dhcp-host=DC:A6:32:00:00:01,node01,10.3.50.99',
    says: /node01 is dc:a6:32:00:00:01 with 10\.3\.50\.11, and .* gives 10\.3\.50\.99/,
  },
  {
    name: 'another board for an address',
    settings: 'dhcp-host=b8:27:eb:00:00:01,node07,10.3.50.12',
    says: /gives 10\.3\.50\.12 to b8:27:eb:00:00:01/,
  },
  { name: 'addresses where somebody else lends them', settings: '', served: proxy, says: /leases addresses/ },
]
for (const { name, settings, served, says } of contradictions)
  test(`the router's dnsmasq was set up otherwise: ${name}`, () => {
    const text = `interface=eth0\ndhcp-range=10.3.50.100,10.3.50.199\n${settings}\n`
    assert.throws(
      () => renderServers(servedCluster(served), { exports: [], ...dnsmasq(router, text) }),
      (error) => error instanceof NetrootError && says.test(error.message),
    )
  })

test('other people’s files under a prefix are seen, ours and comments are not', async (t) => {
  const prefix = tempFolder(t)
  for (const [path, text] of [
    ['/etc/dnsmasq.conf', '# nothing\n'],
    [DNSMASQ_FILE, 'port=0\n'],
    ['/etc/dnsmasq.d/.hidden', 'port=1\n'],
    ['/etc/dnsmasq.d/old.conf.dpkg-old', 'port=1\n'],
    ['/etc/dnsmasq.d/home.conf', 'server=9.9.9.9\n'],
    [EXPORTS_FILE, '/srv 10.3.50.11(rw)\n'],
    ['/etc/exports', '# none\n'],
    ['/etc/exports.d/home.exports', '/home 192.0.2.1(ro)\n'],
    ['/etc/exports.d/notes', '/home 192.0.2.1(ro)\n'],
  ] as const) {
    mkdirSync(join(prefix, path, '..'), { recursive: true })
    writeFileSync(prefix + path, text)
  }
  assert.deepEqual(await readMachine({ prefix, stateFolder: STATE }), {
    dnsmasq: [{ file: '/etc/dnsmasq.d/home.conf', settings: [{ line: 1, key: 'server', value: '9.9.9.9' }] }],
    exports: ['/etc/exports.d/home.exports'],
  })
  assert.deepEqual(await readMachine({ prefix: join(prefix, 'none'), stateFolder: STATE }), {
    dnsmasq: [],
    exports: [],
  })
})

test('a real network: interface, prefix, way out and listeners are read', async (t) => {
  if (!needRoot(t) || needTool(t, 'ss', 'iproute2') === undefined) return
  const lab = NetLab.open(t)
  if (lab === undefined) return
  lab.inside('server', 'ip', ['route', 'add', 'default', 'via', '192.0.2.1'])
  await lab.listen('server', 69)
  const { running } = await readMachine({ stateFolder: STATE }, lab.runner('server'))
  const eth = running?.interfaces.find(({ name }) => name === 'eth0')
  assert.deepEqual(eth?.addresses, [{ ip: '10.3.50.1', prefix: 24 }])
  assert.deepEqual(running?.uplinks, ['wlan0'])
  const heard = running?.listeners.filter(({ port }) => port === 69) ?? []
  assert.deepEqual(
    known(heard.map(({ program, ...rest }) => ({ ...rest, hasProgram: program !== undefined }))),
    [{ protocol: 'udp', address: '0.0.0.0', port: 69, isOurs: false, hasProgram: true }],
  )
  assert.ok((running?.freeBytes ?? 0) > 0)
})
