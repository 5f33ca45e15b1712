/** The rendered settings in a real dnsmasq, asked by a board as its boot ROM asks. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatRouterDnsmasq } from '../../src/features/router/dnsmasq.ts'
import type { ServedCluster } from '../../src/netroot/served.ts'
import { applyServers } from '../../src/servers/apply.ts'
import { readMachine } from '../../src/servers/read-machine.ts'
import { renderServers } from '../../src/servers/render.ts'
import { RESERVATIONS_FILE } from '../../src/servers/server-file.ts'
import { makeCluster, makeNode } from '../customise/cluster.ts'
import { recordTask } from '../support/task.ts'
import { NetLab } from './net-lab.ts'
import { STATE, servedCluster, servedNode } from './served-cluster.ts'

/** The 35 bytes that the first 3B's ROM compares, with three blanks at the end of the name. */
const OPTION_43 = Buffer.concat([
  Buffer.from('06 01 03 0a 04 00'.replaceAll(' ', ''), 'hex'),
  Buffer.from('PXE'),
  Buffer.from([9, 23, 0, 0, 20]),
  Buffer.from('Raspberry Pi Boot   '),
  Buffer.from([255]),
]).toString('hex')

const [first, second] = [servedNode(1), servedNode(2, { model: 'pi3b' })]
const stranger = 'dc:a6:32:99:99:99'

async function serve(
  t: TestContext,
  change: Partial<ServedCluster>,
): Promise<{ lab: NetLab; tftp: string } | undefined> {
  const lab = NetLab.open(t)
  if (lab === undefined) return undefined
  // A path that means something to each of dnsmasq's readers.
  const tftp = `${lab.prefix}/t f,"t\\p #1`
  mkdirSync(tftp)
  const served = servedCluster({ tftpRoot: tftp, nodes: [first, second], ...change })
  const machine = await readMachine({ prefix: lab.prefix, stateFolder: served.stateFolder })
  const options = { prefix: lab.prefix, stateFolder: served.stateFolder, start: false }
  await applyServers(renderServers(served, machine), options, recordTask())
  return { lab, tftp }
}

test('own range: known boards get their address and what the ROM looks for, strangers nothing', async (t) => {
  const { lab, tftp } = (await serve(t, {})) ?? {}
  if (lab === undefined || tftp === undefined) return
  mkdirSync(join(tftp, '10000001'))
  writeFileSync(join(tftp, '10000001/config.txt'), 'arm_64bit=1\n')
  symlinkSync('10000001', join(tftp, 'link'))
  await lab.startDnsmasq()

  const [offer] = lab.ask({ mac: first.mac ?? '', offers: 1, waitMs: 20_000 })
  assert.equal(offer?.yiaddr, '10.3.50.11')
  assert.equal(offer?.siaddr, '10.3.50.1')
  assert.equal(offer?.options[43], OPTION_43)
  assert.equal(Buffer.from(offer?.options[60] ?? '', 'hex').toString(), 'PXEClient')
  assert.equal(offer?.options[3], undefined, 'no router where the cluster file names none')

  // The slow ROM is answered, too, and an address stays with its board whatever it calls itself later.
  assert.equal(lab.ask({ mac: second.mac ?? '', offers: 1, waitMs: 20_000 })[0]?.yiaddr, '10.3.50.12')
  const later = { mac: first.mac ?? '', offers: 1, waitMs: 20_000, pxe: false, clientId: 'fff1f5aabb' }
  assert.equal(lab.ask(later)[0]?.yiaddr, '10.3.50.11')
  assert.deepEqual(lab.ask({ mac: stranger, offers: 1, waitMs: 1500 }), [])

  lab.setBoard({ mac: first.mac ?? '', ip: '10.3.50.11' })
  assert.equal(lab.fetch('10000001/config.txt'), 'arm_64bit=1\n')
  assert.equal(lab.fetch('10000001//config.txt'), 'arm_64bit=1\n', 'as a Pi 5 asks')
  assert.equal(lab.fetch('link/config.txt'), 'arm_64bit=1\n')
  assert.equal(lab.fetch('../etc/passwd'), undefined)

  const sockets = lab.inside('server', 'ss', ['-H', '-l', '-n', '-u', '-t']).stdout
  const heard = sockets.split('\n').flatMap((line) => line.trim().split(/\s+/)[4] ?? [])
  assert.ok(heard.includes('10.3.50.1:69'), sockets)
  const own = /^(10\.3\.50\.1:69|0\.0\.0\.0%eth0:(67|4011)|\[fe80::[0-9a-f:]+\]%eth0:69)$/
  for (const address of heard) assert.match(address, own, sockets)
})

test('mac layout: a board with a folder of its MAC address sees that and nothing else', async (t) => {
  const nodes = [servedNode(1, { tftpNames: ['dc-a6-32-00-00-01'] }), second]
  const { lab, tftp } = (await serve(t, { nodes })) ?? {}
  if (lab === undefined || tftp === undefined) return
  for (const [folder, text] of [
    ['dc-a6-32-00-00-01', 'mine\n'],
    ['10000002', 'serial\n'],
  ] as const) {
    mkdirSync(join(tftp, folder))
    writeFileSync(join(tftp, folder, 'config.txt'), text)
  }
  await lab.startDnsmasq()
  lab.setBoard({ mac: first.mac ?? '', ip: '10.3.50.11' })
  assert.equal(lab.fetch('config.txt'), 'mine\n')
  assert.equal(lab.fetch('10000002/config.txt'), undefined)
  lab.setBoard({ mac: second.mac ?? '', ip: '10.3.50.12' })
  assert.equal(lab.fetch('10000002/config.txt'), 'serial\n')
})

test('a range: boards that nobody knows get an address of it', async (t) => {
  const dhcp = { from: '10.3.50.100', to: '10.3.50.109', lease: '10m' }
  const network = {
    cidr: '10.3.50.0/24',
    gateway: '10.3.50.1',
    dns: ['9.9.9.9', '10.3.50.1'],
    domain: 'magi.lan',
    dhcp,
  }
  const { lab } = (await serve(t, { network })) ?? {}
  if (lab === undefined) return
  await lab.startDnsmasq()
  const [offer] = lab.ask({ mac: stranger, offers: 1, waitMs: 20_000 })
  assert.match(offer?.yiaddr ?? '', /^10\.3\.50\.10\d$/)
  assert.equal(offer?.options[43], OPTION_43)
  assert.equal(offer?.options[3], '0a033201')
  assert.equal(offer?.options[6], '090909090a033201')
  assert.equal(Buffer.from(offer?.options[15] ?? '', 'hex').toString(), 'magi.lan')
  assert.equal(lab.ask({ mac: first.mac ?? '', offers: 1, waitMs: 20_000 })[0]?.yiaddr, '10.3.50.11')
  const [pc] = lab.ask({ mac: '3c:97:0e:11:22:33', offers: 1, waitMs: 20_000 })
  assert.match(pc?.yiaddr ?? '', /^10\.3\.50\.10\d$/)
  const menu = Buffer.from(pc?.options[43] ?? '', 'hex').toString('latin1')
  assert.doesNotMatch(menu, /Raspberry/, 'an address, and no menu with nothing behind it')
})

test("proxy: beside somebody's DHCP server, only what the ROM looks for", async (t) => {
  const { lab } = (await serve(t, { network: { cidr: '10.3.50.0/24', dns: [], dhcp: 'proxy' } })) ?? {}
  if (lab === undefined) return
  await lab.startOtherDhcp()
  await lab.startDnsmasq()
  const offers = lab.ask({ mac: first.mac ?? '', offers: 2, waitMs: 20_000 })
  const ours = offers.find(({ from }) => from === '10.3.50.1')
  const other = offers.find(({ from }) => from === '10.3.50.2')
  assert.equal(ours?.yiaddr, '0.0.0.0')
  assert.equal(ours?.options[43], OPTION_43)
  assert.match(other?.yiaddr ?? '', /^10\.3\.50\.1[0-5]\d$/)
  // A PC that boots by PXE would get a menu with nothing behind it.
  for (const mac of ['3c:97:0e:11:22:33', '00:50:56:aa:bb:cc', '52:54:00:12:34:56']) {
    const pc = lab.ask({ mac, offers: 2, waitMs: 4000 })
    assert.deepEqual([...new Set(pc.map(({ from }) => from))], ['10.3.50.2'], `${mac} is no Raspberry Pi`)
  }
  for (const mac of ['b8:27:eb:99:99:99', 'e4:5f:01:99:99:99', 'd8:3a:dd:99:99:99', '2c:cf:67:99:99:99']) {
    const pi = lab.ask({ mac, offers: 2, waitMs: 20_000 })
    assert.ok(
      pi.some(({ from }) => from === '10.3.50.1'),
      `${mac} is one`,
    )
  }
  const plain = lab.ask({ mac: stranger, pxe: false, offers: 2, waitMs: 4000 })
  assert.deepEqual(
    [...new Set(plain.map(({ from }) => from))],
    ['10.3.50.2'],
    'no boot ROM, no answer from us',
  )
})

test("the router's dnsmasq lends the addresses, and ours adds the boot to it", async (t) => {
  const lab = NetLab.open(t)
  if (lab === undefined) return
  const tftp = join(lab.prefix, 'tftp')
  mkdirSync(tftp)
  mkdirSync(join(lab.prefix, 'etc/dnsmasq.d'))
  const network = { cidr: '10.3.50.0/24', dns: [], domain: 'magi.lan' }
  const lan = { name: 'eth0', address: { ip: '10.3.50.1', prefix: 24 }, dns: [] }
  const router = makeNode({ name: 'caspar', interfaces: [lan], router: { uplink: 'wlan0', lan: 'eth0' } })
  const known = makeNode({
    name: 'node01',
    mac: first.mac ?? '',
    interfaces: [{ name: 'eth0', address: { ip: first.ip, prefix: 24 }, dns: [] }],
  })
  const settings = formatRouterDnsmasq(router, makeCluster([router, known], { network }))
  writeFileSync(join(lab.prefix, 'etc/dnsmasq.d/piimage-router.conf'), settings)
  const served = servedCluster({ tftpRoot: tftp, network, nodes: [first, second] })
  const machine = await readMachine({ prefix: lab.prefix, stateFolder: STATE })
  const files = renderServers(served, machine)
  await applyServers(files, { prefix: lab.prefix, stateFolder: STATE, start: false }, recordTask())
  const reservations = files.find(({ path }) => path === RESERVATIONS_FILE)?.content ?? ''
  assert.doesNotMatch(reservations, /node01/, 'the router has that one')
  await lab.startDnsmasq()
  for (const { mac = '', ip } of [first, second]) {
    const [offer] = lab.ask({ mac, offers: 1, waitMs: 20_000 })
    assert.equal(offer?.yiaddr, ip)
    assert.equal(offer?.options[43], OPTION_43)
    assert.equal(offer?.options[3], '0a033201')
  }
  const [offer] = lab.ask({ mac: stranger, offers: 1, waitMs: 20_000 })
  assert.match(offer?.yiaddr ?? '', /^10\.3\.50\.\d+$/, "from the router's range")
  lab.setBoard({ mac: first.mac ?? '', ip: first.ip })
  const asked = lab.inside('pi', 'busybox', ['nslookup', 'node01.magi.lan', '10.3.50.1'])
  assert.match(asked.stdout, /Address.*: 10\.3\.50\.11\b/, "the router's names are still answered")
})
