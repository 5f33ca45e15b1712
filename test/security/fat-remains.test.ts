/** A card that becomes another node's: what it knew of the first one is in no sector of it, whatever file that was in. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { joinKey } from '../../src/features/swarm/artifacts.ts'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { findAnyOf } from '../../src/secrets/occurrences.ts'
import { held } from '../support/attack.ts'
import { HASH, PSK, personalProject } from '../support/personal-project.ts'
import { DEMO_LAYOUT } from '../support/project.ts'

test('customise: secrets of the node that the card was, on the raw medium, in each encoding', async (t) => {
  const project = personalProject(t)
  const swarm = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    swarm.replace('\noverlays:\n', '\njoin: { kind: swarm, head: hammond }\n\noverlays:\n'),
  )
  const key = await readClusterKey(project.file('cluster.key'))
  const card = project.file('card.img')
  const secretsOf = (node: string) =>
    [sshHostKey(key, node), joinKey(nodeKeys(key), node)].map(({ privateKey }) => privateKey.reveal())
  // All of the file system: its tables, folders, slack and free clusters.
  const { offset, length } = DEMO_LAYOUT.boot
  const has = (secrets: readonly string[]): boolean =>
    findAnyOf(secrets)(readFileSync(card).subarray(offset, offset + length))
  const flashed = await project.piimage('flash', '--node', `oneil=${card}`)
  assert.equal(flashed.status, 0, flashed.stderr)
  for (const secret of secretsOf('oneil')) assert.ok(has([secret]), 'the search finds what is there')

  let tried = 0
  const be = async (node: string) => {
    const said = await project.piimage('customise', card, '--node', node)
    assert.equal(said.status, 0, said.stderr)
    const others = ['hammond', 'oneil', 'carter'].filter((name) => name !== node).flatMap(secretsOf)
    assert.ok(!has(others), `the card is ${node} and knows another`)
    tried += others.length
  }
  for (const node of ['carter', 'hammond', 'carter']) await be(node)

  // What the person gave goes as well when the cluster file no longer has it.
  assert.ok(has([HASH]) && has([PSK]))
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    text.replace(/^ *passwordHash:.*\n/m, '').replace(/^wifi:.*\n/m, ''),
  )
  await be('oneil')
  assert.ok(!has([HASH, PSK]))
  held(t, tried + 2)
})
