/** Who serves: a node, or a machine that is none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { disklessProject } from './diskless.ts'

const server = (said: string) => (text: string) =>
  text.replace('netroot: { server: hammond }', `netroot: { server: ${said} }`)

test('a server that is no node: its address and interface go into what it serves, and nothing waits for it', async (t) => {
  const project = disklessProject(t)
  project.edit(server('{ address: 192.168.2.2/24, interface: enp1s0 }'))
  project.edit((text) =>
    text
      .replace('\noverlays:\n', '\njoin: { kind: swarm, head: hammond }\noverlays:\n  - docker\n')
      .replace('carter: { boot: net,', 'carter: { overlays: [{ swarm: false }, { docker: false }],'),
  )
  const said = await project.netroot('--dry-run', '--json')
  assert.equal(said.status, 0, said.stderr)
  const plan = said.events.find(({ event }) => event === 'plan') as { served: { server: object } } | undefined
  assert.deepEqual(plan?.served.server, { ip: '192.168.2.2', prefix: 24, interface: 'enp1s0' })
  const shown = await project.netroot('--dry-run')
  assert.match(shown.stdout, /nfsroot=192\.168\.2\.2:/)
  assert.match(shown.stdout, /interface=enp1s0/)
  const head = await project.piimage('plan', '--node', 'hammond')
  assert.equal(head.status, 0, head.stderr)
  const [, members = ''] =
    /\+\+\+ piimage\/material\/swarm-nodes\n@@ .*\n((?:\+.*\n)+)/.exec(head.stdout) ?? []
  assert.deepEqual(members.match(/^\+\w+/gm), ['+hammond', '+oneil'])
  const inventory = await project.piimage('export', 'ansible')
  assert.doesNotMatch(inventory.stdout, /192\.168\.2\.2\b/)
})

test('a server that is no node: what its address can not be', async (t) => {
  const cases: [said: string, refusal: RegExp][] = [
    ['{ address: 192.168.2.11/24 }', /has 192\.168\.2\.11, the address of oneil/],
    ['{ address: 10.9.9.9/24 }', /10\.9\.9\.9 is outside the network 192\.168\.2\.0\/24/],
    ['{ address: 192.168.2.255/24 }', /192\.168\.2\.255 can't be a machine's address/],
    ['{ address: dhcp }', /is not an address that nodes can look for/],
    ['{ address: 192.168.2.2 }', /has no prefix length/],
    ['{ interface: eth0 }', /address/],
    ['nobody', /there is no node nobody/],
  ]
  for (const [said, refusal] of cases) {
    const project = disklessProject(t)
    project.edit(server(said))
    const refused = await project.netroot('--dry-run')
    assert.equal(refused.status, 2, said)
    assert.match(refused.stderr, refusal, said)
  }
})
