/** Which swarm a node is in, by what Docker says on it and on the head. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSaid } from '../../src/cluster/feature.ts'
import { MEMBERSHIP, readMembership, whyStray } from '../../src/features/swarm/membership.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

const HEAD = 'k67qz4598weg5unwwffg6z1m1'
const SWARM = 'abajmipo7b4xz5ip2nrla6b11'
const ONEIL = '9v4oaffymjd1a0mqmuwaszxru'

const saidOf = (lines: Record<string, string>) =>
  readMembership(
    readSaid(
      Object.entries(lines)
        .map(([name, value]) => `${name} ${value}\n`)
        .join(''),
    ),
  )

const head = {
  swarm: 'active',
  'swarm-node': HEAD,
  'swarm-id': SWARM,
  'swarm-managers': HEAD,
  'swarm-members': `${HEAD} ${ONEIL}`,
}
const worker = { swarm: 'active', 'swarm-node': ONEIL, 'swarm-managers': HEAD }
const old = { swarm: 'active', 'swarm-node': 'zz1', 'swarm-managers': 'zz0' }

const cases: { name: string; node: Record<string, string>; at?: Record<string, string>; why?: string }[] = [
  { name: 'a member', node: worker },
  { name: 'in none', node: { swarm: 'inactive', 'swarm-node': '' } },
  { name: 'no Docker', node: {} },
  { name: 'a worker of another', node: old, why: 'it is in another swarm than hammond' },
  {
    name: 'rebooted, and looking for a head that is gone',
    node: { ...old, swarm: 'pending' },
    why: 'it is in another swarm than hammond',
  },
  {
    name: 'a manager of another',
    node: { ...old, 'swarm-id': 'xx7' },
    why: `it is in another swarm than hammond (xx7, not ${SWARM})`,
  },
  {
    name: 'removed on the head, and not told',
    node: { ...worker, 'swarm-node': 'zz1' },
    why: 'the swarm of hammond has removed it',
  },
  {
    name: 'a manager that was removed while the head was another',
    node: { ...old, 'swarm-id': SWARM },
    why: 'the swarm of hammond has removed it',
  },
  {
    name: 'a head that has made none so far',
    node: old,
    at: { swarm: 'inactive' },
    why: 'it is in a swarm, and hammond is in none',
  },
  { name: 'a head whose swarm has lost its quorum', node: old, at: { ...head, 'swarm-members': '' } },
  { name: 'a head that is no manager', node: old, at: { swarm: 'active', 'swarm-node': HEAD } },
  { name: 'a head whose Docker does not answer', node: old, at: {} },
]
for (const { name, node, at = head, why } of cases)
  test(name, () => assert.equal(whyStray(saidOf(node), saidOf(at), 'hammond'), why))

test('what is no ID becomes part of nothing', () => {
  const its = saidOf({
    ...old,
    'swarm-node': '$(reboot) ../x a;b',
    'swarm-id': '\u001b[31m',
    'swarm-managers': "a'b",
  })
  assert.deepEqual(its, { state: 'active', id: '', swarm: '', managers: [], members: undefined })
})

test('a node without Docker says nothing, and that is no error', (t) => {
  const ran = run('/bin/sh', ['-c', `d() { exit 9; }\n${MEMBERSHIP}`], { env: { PATH: tempFolder(t) } })
  assert.deepEqual([ran.status, ran.stdout], [0, ''])
})
