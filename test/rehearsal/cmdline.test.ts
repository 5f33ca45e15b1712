import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServedCluster, ServedNode } from '../../src/netroot/served.ts'
import { Findings } from '../../src/rehearsal/fault.ts'
import { judgeCmdline } from '../../src/rehearsal/system/judge-cmdline.ts'
import { faultOfKlibcOption, parseIpParameter, parseNfsRoot } from '../../src/rehearsal/system/nfsroot.ts'
import { known } from '../support/known.ts'

const node: ServedNode = {
  ...{
    name: 'oneil',
    model: 'pi4',
    ip: '10.3.50.11',
    generation: 'g',
    edition: 'e',
    bootFolder: '/b',
    rootFolder: '/srv/root',
  },
  ...{ rootMode: 'copy', exports: [], tftpNames: [] },
}
const served: ServedCluster = {
  ...{ cluster: 'c', stateFolder: '/srv', tftpRoot: '/srv/tftp', network: { cidr: '10.3.50.0/24', dns: [] } },
  ...{ server: { ip: '10.3.50.1', prefix: 24, interface: 'eth0' }, nodes: [node] },
}
const IP = 'ip=10.3.50.11:10.3.50.1:10.3.50.1:255.255.255.0:oneil:eth0:off'
const ROOT = 'root=/dev/nfs nfsroot=10.3.50.1:/srv/root,vers=3,tcp,hard'

const cases: { name: string; text: string; klibc?: boolean; says: RegExp[] }[] = [
  { name: 'as it should be', text: `console=tty1 ${ROOT} rw ${IP} rootwait\n`, says: [] },
  { name: 'with DHCP', text: `${ROOT} ip=dhcp\n`, says: [] },
  { name: 'with DHCP on one interface', text: `${ROOT} ip=:::::eth0:dhcp`, says: [] },
  {
    name: 'version 4 for the kernel itself',
    text: `${ROOT.replace('vers=3', 'vers=4.2')} ${IP}`,
    klibc: false,
    says: [],
  },
  {
    name: 'version 4 for klibc',
    text: `${ROOT.replace('vers=3', 'vers=4')} ${IP}`,
    says: [/has vers=4.*version 3 only/],
  },
  {
    name: 'another server',
    text: `${ROOT.replace('50.1:', '50.2:')} ${IP}`,
    says: [/names the server 10\.3\.50\.2/],
  },
  {
    name: 'another root',
    text: `${ROOT.replace('/srv/root', '/srv/other')} ${IP}`,
    says: [/names \/srv\/other; the root of oneil is/],
  },
  {
    name: 'the place of the address',
    text: `root=/dev/nfs nfsroot=/srv/%s ${IP}`,
    says: [/names \/srv\/10\.3\.50\.11/],
  },
  { name: 'nothing', text: '', says: [/no root=/, /no ip=/, /no nfsroot=/] },
  {
    name: 'all of a first boot',
    text: `${ROOT} ${IP} systemd.run=/boot/x systemd.unit=kernel-command-line.target`,
    says: [/systemd\.run=/, /systemd\.unit=/],
  },
  {
    name: 'a file system of a card',
    text: `${ROOT} rootfstype=ext4 fsck.repair=yes ${IP}`,
    says: [/rootfstype=ext4/, /fsck\.repair=yes/],
  },
  {
    name: 'what only starts like a leftover',
    text: `${ROOT} ${IP} resized rootfstype=nfs fsck.mode=skip`,
    says: [],
  },
  {
    name: 'another node’s line',
    text: `${ROOT} ${IP.replace('50.11', '50.12').replace('oneil', 'carter')}`,
    says: [/address 10\.3\.50\.12/, /names the node carter/],
  },
  { name: 'no netmask', text: `${ROOT} ${IP.replace('255.255.255.0', '')}`, says: [/netmask, is empty/] },
  {
    name: 'the last of two counts',
    text: `root=/dev/sda1 ${ROOT} ${IP}`,
    says: [/root=\/dev\/sda1 is left from a card/],
  },
]

for (const { name, text, klibc = true, says } of cases)
  test(`command line: ${name}`, () => {
    const findings = new Findings()
    judgeCmdline(text, klibc, { served, node, place: 'cmdline.txt', findings })
    const said = findings.faults.map(({ problem }) => problem)
    assert.equal(said.length, says.length, said.join('\n'))
    for (const [index, pattern] of says.entries()) assert.match(said[index] ?? '', pattern)
  })

test('nfsroot= in all its forms', () => {
  assert.deepEqual(parseNfsRoot('10.0.0.1:/a,vers=3,,tcp', ''), {
    server: '10.0.0.1',
    folder: '/a',
    options: ['vers=3', 'tcp'],
  })
  assert.deepEqual(known(parseNfsRoot('/a', '')), { folder: '/a', options: [] })
})

test('ip= with more fields than are judged', () => {
  assert.equal(parseIpParameter('1.2.3.4::::h:eth0:off:9.9.9.9').device, 'eth0')
  assert.equal(parseIpParameter('on').autoconf, 'on')
})

test('klibc’s options', () => {
  for (const option of ['vers=3', 'v3', 'tcp', 'nolock', 'rsize=65536', 'wsize=0x10000', 'ro'])
    assert.equal(faultOfKlibcOption(option), undefined, option)
  for (const option of [
    'vers=4.1',
    'vers=2',
    'proto=tcp',
    'udp',
    'rsize=64k',
    'nconnect=4',
    'soft=1',
    'sec=sys',
  ])
    assert.notEqual(faultOfKlibcOption(option), undefined, option)
})
