/** The rehearsal against a real dnsmasq and a real NFS server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServedNode } from '../../src/netroot/served.ts'
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
