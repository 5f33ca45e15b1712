/** What a server can say of nodes that boot, by its log, its connections and what it hears. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ServedNode } from '../../src/netroot/served.ts'
import { foldBoots } from '../../src/rehearsal/live/boots.ts'
import { parseConnections } from '../../src/rehearsal/live/connections.ts'
import { parseDnsmasqLog } from '../../src/rehearsal/live/dnsmasq-log.ts'
import { statesOf, unknownBoards } from '../../src/rehearsal/live/node-state.ts'
import { known } from '../support/known.ts'
import { MENU, openLab, reservations, SERVER } from './lab.ts'

test('nodes at every stage of a boot, and a board that nobody knows', async (t) => {
  const lab = openLab(t, 'serial')
  if (lab === undefined) return
  const names = ['off', 'asks', 'stuck', 'loaded', 'mounted', 'up', 'played']
  const nodes = names.map((name) => lab.addNode(name, 'pi4'))
  const node = (name: string) => nodes.find((other) => other.name === name) as ServedNode
  rmSync(join(node('stuck').bootFolder, 'fixup4.dat'))
  await lab.startDnsmasq([...reservations(nodes), MENU])
  await lab.startNfs(nodes.map(({ rootFolder, ip }) => ({ folder: rootFolder, client: ip, access: 'RW' })))
  const start = (name: string, files: string[], more: object = {}) => {
    const { model, mac = '', serial = '' } = node(name)
    const fetch = files.map((file) => `${serial}/${file}`)
    return lab.startBoard({ model, mac, serial, server: SERVER, fetch, ...more })
  }
  await Promise.all([
    start('asks', []),
    // The kernel's size is asked for, and never the kernel.
    start('stuck', ['start4.elf?', 'config.txt', 'start4.elf', 'fixup4.dat', 'kernel8.img?']),
    start('loaded', ['start4.elf', 'fixup4.dat', 'kernel8.img?', 'kernel8.img']),
    start('mounted', ['kernel8.img'], { mount: true }),
    start('up', ['kernel8.img'], { mount: true, ssh: true }),
  ])
  assert.deepEqual(lab.rehearse({ ...lab.served, nodes: [node('played')] })[0]?.faults, [])
  const [up] = lab.rehearse({ ...lab.served, nodes: [node('asks')] })
  assert.deepEqual(up?.faults, [])
  assert.match(up?.notes[0]?.text ?? '', /somebody answers for this address/)
  const looked = lab.look({ model: 'pi5', mac: '2c:cf:67:01:02:03', serial: '5b154510', server: SERVER })
  const { nodes: states, unknown } = await looked
  assert.deepEqual(
    states.map(
      ({ node: name, stage, detail }) => `${name} ${stage}${detail === undefined ? '' : `: ${detail}`}`,
    ),
    [
      'off off',
      `asks DHCP: offered ${node('asks').ip}`,
      'stuck firmware: stuck after start4.elf: fixup4.dat not found',
      'loaded kernel: its root is not mounted yet',
      'mounted root mounted',
      'up up',
      'played off',
    ],
  )
  assert.deepEqual(unknown, [{ mac: '2c:cf:67:01:02:03', model: 'pi5', serial: '5b154510' }])
})

const at = (seconds: number) => `Jul  6 05:48:${String(seconds).padStart(2, '0')}`

test('a published log of a Pi 4 on an older dnsmasq: model by option 97, serial by its folder', () => {
  const log = [
    `${at(56)} dnsmasq-dhcp[4322]: 1795937487 vendor class: PXEClient:Arch:00000:UNDI:002001`,
    `${at(56)} dnsmasq-dhcp[4322]: 1795937487 DHCPDISCOVER(eth0) dc:a6:32:2e:f8:ed `,
    `${at(56)} dnsmasq-dhcp[4322]: 1795937487 sent size: 17 option: 97 client-machine-id  00:52:50:69:34:11:31:a0:00:32:2e:f8:ed:10...`,
    `${at(56)} dnsmasq-tftp[4322]: file /srv/tftpboot/5b154510/start4.elf not found`,
    `${at(57)} dnsmasq-tftp[4322]: sent /srv/tftpboot/config.txt to 192.168.50.12`,
  ].join('\n')
  const boots = foldBoots(parseDnsmasqLog(log), [])
  assert.deepEqual(known(unknownBoards([], boots)), [
    { mac: 'dc:a6:32:2e:f8:ed', model: 'pi4', serial: '5b154510' },
  ])
})

test('a boot that ended long ago is over, across a new year too', () => {
  const log = (time: string) => `${time} dnsmasq-dhcp[1]: 7 DHCPDISCOVER(eth0) dc:a6:32:00:00:01 \n`
  const node = { name: 'n', ip: '10.0.0.2', mac: 'dc:a6:32:00:00:01' } as ServedNode
  const stage = (time: string, now: string) =>
    statesOf([node], {
      boots: foldBoots(parseDnsmasqLog(log(time)), [node]),
      mounted: new Set(),
      answering: new Set(),
      now: new Date(now),
    })[0]?.stage
  assert.equal(stage('Jul  6 05:48:56', '2026-07-06T05:50:00'), 'DHCP')
  assert.equal(stage('Jul  6 05:48:56', '2026-07-06T08:00:00'), 'off')
  assert.equal(stage('Dec 31 23:59:00', '2027-01-01T00:01:00'), 'DHCP')
})

test('connections by address, of both families', () => {
  const tcp = `  sl  local_address rem_address   st
   0: 0132030A:0801 0B32030A:03FF 01 00000000:00000000
   1: 0132030A:0801 0C32030A:03FF 06 00000000:00000000
   2: 0132030A:0016 0D32030A:C350 01 00000000:00000000`
  const tcp6 = '   0: 0000000000000000FFFF00000132030A:0801 0000000000000000FFFF00000E32030A:03FE 01 0'
  assert.deepEqual(parseConnections(tcp, 2049), ['10.3.50.11'])
  assert.deepEqual(parseConnections(tcp6, 2049), ['10.3.50.14'])
})
