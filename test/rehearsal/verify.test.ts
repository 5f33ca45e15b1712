/** The rehearsal against a real dnsmasq and a real NFS server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
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
