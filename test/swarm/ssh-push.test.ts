/** `piimage join` and `piimage status` from a machine beside the cluster, through real ssh. */
import assert from 'node:assert/strict'
import { copyFileSync, cpSync, rmSync, writeFileSync } from 'node:fs'
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

/** Power off, and a new card from the same cluster file. */
function makeAgain(lab: Lab, name: string, card: string): void {
  lab.powerOff(name)
  const { folder } = lab.node(name)
  for (const part of ['upper', 'work', 'docker', 'fat', 'console.log'])
    rmSync(join(folder, part), { recursive: true, force: true })
  cpSync(card, join(folder, 'fat'), { recursive: true })
  lab.powerOn(name)
}

test('cards made again: a dead twin is forgotten, and who is in the old head’s swarm is said and led over', async (t) => {
  const laptop = await openLaptop(t)
  if (laptop === undefined) return
  const { lab, piimage } = laptop
  const cards = tempFolder(t)
  for (const name of ['hammond', 'tealc'])
    cpSync(join(lab.node(name).folder, 'fat'), join(cards, name), { recursive: true })
  for (const name of lab.nodes.keys()) lab.powerOn(name)
  for (const name of ['oneil', 'carter', 'tealc'])
    await until(`${name} has booted`, 120, () => lab.hasFinished(name))
  const waits = () => /swarm-gather waiting/.test(lab.console('hammond'))
  await until('the head has its swarm', 60, waits)
  assert.equal(piimage('join').status, 0)
  await until('the head has gathered all', 60, () => lab.hasFinished('hammond'))
  assert.equal(piimage('status').status, 0)

  const names = () => lab.inside('hammond', "docker node ls --format '{{.Hostname}} {{.Status}}'").stdout
  // A card made again, and a node that left and comes back within a heartbeat: its record still looks alive.
  makeAgain(lab, 'tealc', join(cards, 'tealc'))
  await until('tealc has booted', 120, () => lab.hasFinished('tealc'))
  await until('the head misses tealc', 60, () => names().includes('tealc Down'))
  assert.equal(lab.inside('oneil', 'docker swarm leave --force').status, 0)
  const again = piimage('join')
  assert.equal(again.status, 0, again.stdout + again.stderr)
  assert.deepEqual(names().trim().split('\n').sort(), [
    'carter Ready',
    'hammond Ready',
    'oneil Ready',
    'tealc Ready',
  ])

  makeAgain(lab, 'hammond', join(cards, 'hammond'))
  await until('the new head has its swarm', 120, waits)
  const shown = piimage('status', '--json')
  assert.equal(shown.status, 6, shown.stdout + shown.stderr)
  const strays = Object.fromEntries(
    eventsOf(shown)
      .filter(({ event, stray }) => event === 'node' && stray !== undefined)
      .map(({ node, stray }) => [node, stray]),
  )
  assert.equal(strays.oneil, 'it is in another swarm than hammond')
  // It was a manager, and has no quorum.
  assert.match(String(strays.carter), /^it is in another swarm than hammond/)
  assert.match(piimage('status').stdout, /^oneil .* it is in another swarm than hammond$/m)

  // Nobody is there to agree.
  const asked = piimage('join')
  assert.equal(asked.status, 2, asked.stdout + asked.stderr)
  assert.match(asked.stderr, /not agreed to: oneil, carter, tealc would leave/)
  assert.equal(names().trim(), 'hammond Ready')
  const led = piimage('join', '--yes')
  assert.equal(led.status, 0, led.stdout + led.stderr)
  assert.equal(names().trim().split('\n').length, 4)
  const after = piimage('status')
  assert.equal(after.status, 0, after.stdout + after.stderr)
})
