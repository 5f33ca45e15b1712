/** `piimage join` and `piimage status` from a machine beside the cluster, through real ssh. */
import assert from 'node:assert/strict'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { features } from '../../src/features/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { formatClusterKey } from '../../src/secrets/cluster-key.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, type Ran } from '../support/tools.ts'
import { key, Lab, mustRun, until } from './lab.ts'

const clusterFile = `cluster: sgc
image: raspios-bookworm-arm64-lite@2025-05-13
model: pi4
user: { name: ops, sshKeys: [id.pub] }
network: { cidr: 172.19.181.0/24 }
overlays: [ssh, docker, static-network: false]
join: { kind: swarm, head: hammond, by: ssh-push }
nodes:
  hammond: { address: 172.19.181.254/24 }
  oneil: { address: 172.19.181.1/24, labels: { room: attic } }
  carter: { address: 172.19.181.2/24, role: manager }
  tealc: { address: 172.19.181.3/24 }
`

/** A machine on the same switch, with the project's folder and the person's key. */
async function openLaptop(t: TestContext) {
  if (!needRoot(t) || needTool(t, 'ssh-keygen', 'openssh-client') === undefined) return undefined
  const folder = tempFolder(t)
  mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'laptop', '-f', join(folder, 'id')])
  copyFileSync(join(packageRoot(), 'images.lock.json'), join(folder, 'images.lock.json'))
  writeFileSync(join(folder, 'cluster.yaml'), clusterFile)
  writeFileSync(join(folder, 'cluster.key'), formatClusterKey(key), { mode: 0o600 })
  const lab = await Lab.open(t, await readCluster(join(folder, 'cluster.yaml'), { features }))
  if (lab === undefined) return undefined
  lab.addNetwork('laptop')
  const link = ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'laptop-sw', 'netns', lab.netns('sw')]
  mustRun('ip', ['-n', lab.netns('laptop'), ...link])
  mustRun('ip', ['-n', lab.netns('sw'), 'link', 'set', 'laptop-sw', 'master', 'br0', 'up'])
  mustRun('ip', ['-n', lab.netns('laptop'), 'addr', 'add', '172.19.181.99/24', 'dev', 'eth0'])
  mustRun('ip', ['-n', lab.netns('laptop'), 'link', 'set', 'eth0', 'up'])
  const piimage = (...args: string[]): Ran =>
    lab.inNetwork('laptop', process.execPath, [
      join(packageRoot(), 'build/src/cli.js'),
      ...args,
      ...['--cluster', join(folder, 'cluster.yaml'), '--identity', join(folder, 'id')],
    ])
  return { lab, piimage }
}

const eventsOf = (ran: Ran): Record<string, unknown>[] =>
  ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('joined from outside: status before and after, a node that is off, and once more', async (t) => {
  const laptop = await openLaptop(t)
  if (laptop === undefined) return
  const { lab, piimage } = laptop
  for (const name of ['hammond', 'oneil', 'carter']) lab.powerOn(name)
  for (const name of ['oneil', 'carter']) await until(`${name} has booted`, 90, () => lab.hasFinished(name))
  await until('the head has its swarm', 60, () => /swarm-gather waiting/.test(lab.console('hammond')))

  const before = piimage('status', '--json')
  // One of them is off.
  assert.equal(before.status, 8, before.stderr)
  const states = Object.fromEntries(
    eventsOf(before)
      .filter(({ event }) => event === 'node')
      .map(({ node, reached, join: joined }) => [node, reached ? joined : 'off']),
  )
  assert.deepEqual(states, { hammond: 'active', oneil: 'inactive', carter: 'inactive', tealc: 'off' })

  const some = piimage('join')
  assert.equal(some.status, 6, some.stdout + some.stderr)
  assert.match(some.stdout, /oneil is in the swarm\ncarter is in the swarm/)
  assert.match(some.stderr, /tealc: not asked/)
  assert.doesNotMatch(some.stdout + some.stderr, /SWMTKN/)

  lab.powerOn('tealc')
  await until(`tealc has booted`, 90, () => lab.hasFinished('tealc'))
  const rest = piimage('join', '--json')
  assert.equal(rest.status, 0, rest.stderr)
  assert.deepEqual(eventsOf(rest).at(-1), { event: 'result', ok: true, joined: ['oneil', 'carter', 'tealc'] })

  await until('the head has gathered all', 60, () => lab.hasFinished('hammond'))
  const shown = piimage('status')
  assert.match(shown.stdout, /^NODE +FIRST BOOT +DOCKER +CLUSTER$/m)
  for (const name of ['hammond', 'oneil', 'carter', 'tealc'])
    assert.match(shown.stdout, new RegExp(`^${name} +done +\\d\\S* +active$`, 'm'))
  const labels = lab.inside(
    'hammond',
    "docker node inspect -f '{{.Spec.Role}} {{.Spec.Labels}}' oneil carter",
  )
  assert.match(labels.stdout, /^worker map\[arch:amd64 room:attic\]\nmanager /)
})
