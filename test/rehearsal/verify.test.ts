/** The rehearsal against a real dnsmasq and a real NFS server. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Model } from '../../src/cluster/node.ts'
import type { ServedNode } from '../../src/netroot/served.ts'
import { elf } from './boot-tree.ts'
import { dhcpOf, exportsOf, spoilt } from './faults.ts'
import { MENU, openLab, reservations } from './lab.ts'

test('nodes of every kind of boot loader pass, by serial number', async (t) => {
  const lab = openLab(t, 'serial')
  if (lab === undefined) return
  const nodes = (['pi3b', 'pi3b+', 'pi4', 'pi5'] as const).map((model, index) =>
    lab.addNode(`node${index}`, model),
  )
  await lab.startDnsmasq([...reservations(nodes), MENU])
  await lab.startNfs(nodes.map(({ rootFolder, ip }) => ({ folder: rootFolder, client: ip, access: 'RW' })))
  const results = lab.rehearse()
  assert.deepEqual(
    results.map(({ node, faults, notes }) => ({ node, faults, notes })),
    nodes.map(({ name }) => ({ node: name, faults: [], notes: [] })),
    lab.dnsmasqLog(),
  )
})

test('each deliberate fault is told, and only that', async (t) => {
  const lab = openLab(t, 'serial')
  if (lab === undefined) return
  const nodes = spoilt.map(({ name, model }) => lab.addNode(name, model))
  // What is wrong from the start; a machine-id is read before it is compared.
  for (const [index, { spoil }] of spoilt.entries()) spoil?.(nodes[index] as ServedNode)
  const twice = nodes.find(({ name }) => name === 'two-servers')
  await lab.startDnsmasq([
    'dhcp-range=10.81.0.0,static,255.255.255.0,12h',
    // A menu is sent for the tags that fit best.
    `tag-if=set:menu,${dhcpOf(nodes)
      .flatMap((line) => /(?:pxe-service|option-force)=tag:([^,]+)/.exec(line)?.[1] ?? [])
      .map((tag) => `tag:!${tag}`)
      .join(',')}`,
    MENU.replace('=', '=tag:menu,'),
    ...dhcpOf(nodes),
  ])
  await lab.startOtherDhcp([
    'dhcp-range=10.81.0.0,static,255.255.255.0,1h',
    `dhcp-host=${twice?.mac},10.81.0.250`,
  ])
  await lab.startNfs(exportsOf(nodes))
  const results = lab.rehearse()
  for (const [index, { name, says }] of spoilt.entries()) {
    await t.test(name, () => {
      const faults =
        results[index]?.faults.map(({ step, place, problem }) => `${step} ${place}: ${problem}`) ?? []
      const all = faults.join('\n')
      assert.equal(faults.length, says.length, all || 'nothing is said')
      for (const [at, pattern] of says.entries()) assert.match(faults[at] ?? '', pattern)
    })
  }
})

test('a folder for each MAC address, beside somebody else’s DHCP server', async (t) => {
  const lab = openLab(t, 'mac')
  if (lab === undefined) return
  const models: Model[] = ['pi2', 'pi3b', 'pi3b+', 'pi4', 'pi5']
  const good = models.map((model, index) => lab.addNode(`node${index}`, model))
  const old = good[0] as ServedNode
  writeFileSync(join(old.rootFolder, 'usr/lib/systemd/systemd'), elf(40))
  const bare = lab.addNode('no-bootcode', 'pi3b+')
  rmSync(join(bare.bootFolder, 'bootcode.bin'))
  const asking = lab.addNode('asks-dhcp', 'pi4')
  const cmdline = join(asking.bootFolder, 'cmdline.txt')
  writeFileSync(cmdline, readFileSync(cmdline, 'utf8').replace(/ip=\S+/, 'ip=dhcp'))
  const lost = lab.addNode('no-address', 'pi4')
  lab.served.network.dhcp = 'proxy'
  await lab.startDnsmasq(['dhcp-range=10.81.0.0,proxy', MENU, 'tftp-unique-root=mac'])
  await lab.startOtherDhcp([...reservations([...good, bare]), `dhcp-host=${asking.mac},10.81.0.99`])
  await lab.startNfs(
    lab.served.nodes.map(({ rootFolder, ip }) => ({ folder: rootFolder, client: ip, access: 'RW' })),
  )
  const results = lab.rehearse()
  const said = results.map(({ node, faults }) =>
    [node, ...faults.map(({ place, problem }) => `${place}: ${problem}`)].join(' '),
  )
  assert.deepEqual(
    said.slice(0, good.length),
    good.map(({ name }) => name),
  )
  assert.match(said[good.length] ?? '', /^no-bootcode bootcode\.bin .*: not found: [^:]*$/)
  assert.match(
    said[good.length + 1] ?? '',
    /^asks-dhcp DHCP address: .* offers 10\.81\.0\.99, and the exports are for/,
  )
  assert.match(
    said[good.length + 2] ?? '',
    /^no-address DHCP on lan0: no DHCP server offers no-address an address/,
  )
  assert.equal(lost.name, 'no-address')
})
