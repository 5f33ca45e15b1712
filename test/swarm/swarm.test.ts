/** A head and three workers, switched on in every order, become one swarm. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { joinKey } from '../../src/features/swarm/artifacts.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { makeCluster, makeNode, use } from '../customise/cluster.ts'
import { type Ran, run } from '../support/tools.ts'
import { key, Lab, until } from './lab.ts'

const workers = ['oneil', 'carter', 'tealc']

function member(name: string, last: number, overrides: Partial<Node> = {}): Node {
  return makeNode({
    name,
    interfaces: [{ name: 'eth0', address: { ip: `172.19.181.${last}`, prefix: 24 }, dns: [] }],
    overlays: ['ssh', 'docker', 'swarm'].map((overlay) => use(overlay)),
    ...overrides,
  })
}

/** carter is a second manager, tealc a Zero. */
const cluster = (): Cluster =>
  makeCluster(
    [
      member('hammond', 254, { role: 'head' }),
      member('oneil', 1, { labels: { arch: 'armv7', room: 'attic' } }),
      member('carter', 2, { manager: true }),
      member('tealc', 3, { model: 'zero' }),
    ],
    { join: { kind: 'swarm', head: 'hammond', by: 'pull' } },
  )

/** Every node is in, with the labels and roles of the cluster file, and nothing that was used to get in is left. */
async function assertFormed(lab: Lab): Promise<void> {
  for (const name of [...workers, 'hammond'])
    await until(`${name} has done its first boot\n${lab.console(name)}`, 90, () => lab.hasFinished(name))
  const shown = lab.inside(
    'hammond',
    `docker node inspect -f '{{.Description.Hostname}} {{.Status.State}} {{.Spec.Role}} {{range $k, $v := .Spec.Labels}}{{$k}}={{$v}} {{end}}' $(docker node ls -q)`,
  )
  assert.deepEqual(
    shown.stdout
      .trim()
      .split('\n')
      .map((line) => line.trim())
      .sort(),
    [
      'carter ready manager arch=amd64',
      'hammond ready manager arch=amd64',
      'oneil ready worker arch=armv7 room=attic',
      'tealc ready worker arch=armv6',
    ],
  )
  assert.match(
    lab.inside('hammond', "docker info -f '{{.Swarm.Cluster.DefaultAddrPool}}'").stdout,
    /172\.31\.0\.0\/16/,
  )
  assert.equal(lab.inside('hammond', 'getent passwd piimage-join').status, 2, 'the account is gone')
  assert.match(lab.inside('hammond', 'cat /var/log/asked').stdout, /^swarm init /m, 'arguments are kept')
  for (const { name, folder } of lab.nodes.values()) {
    // FAT, logs, the arguments of each docker, payload and secrets on the card; Docker's own folder is beside it.
    const found = run('grep', [
      '-rlE',
      'SWMTKN-[12]-[0-9a-z]{10}',
      join(folder, 'fat'),
      join(folder, 'upper'),
      join(folder, 'console.log'),
    ])
    assert.equal(found.stdout, '', `a token is written down on ${name}`)
    const environments = lab.inside(name, 'cat /proc/[0-9]*/environ')
    assert.ok(!environments.stdout.includes('SWMTKN'), `a token is in an environment on ${name}`)
    assert.equal(lab.inside(name, 'find /boot/firmware -name "join-key*" -o -name secrets').stdout, '')
    assert.notEqual(lab.inside(name, 'ls /etc/piimage/secrets/join-key').status, 0)
  }
}

/** What a key's holder gets from the head's broker, asked from a worker's address. */
function ask(lab: Lab, from: string, privateKey: string): Ran {
  return lab.inside(from, `umask 077; printf %s '${privateKey}' >/tmp/asked; ${askHead}`)
}

const askHead =
  'ssh -F /dev/null -T -i /tmp/asked -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/opt/piimage/material/join-known-hosts piimage-join@172.19.181.254 docker swarm join-token -q manager </dev/null; s=$?; rm /tmp/asked; exit $s'

const opened = (t: TestContext): Promise<Lab | undefined> => Lab.open(t, cluster())

test('workers first, the head last', async (t) => {
  const lab = await opened(t)
  if (lab === undefined) return
  for (const name of workers) lab.powerOn(name)
  await until('the workers wait', 60, () =>
    workers.every((name) => /the head at 172.19.181.254 does not answer yet/.test(lab.console(name))),
  )
  lab.powerOn('hammond')
  await assertFormed(lab)
})

test('the head first and switched off half way; a worker that loses power ten times; keys of others', async (t) => {
  const lab = await opened(t)
  if (lab === undefined) return
  lab.powerOn('hammond')
  lab.powerOn('oneil')
  await until(`oneil is in\n`, 90, () => lab.hasFinished('oneil'))

  const own = joinKey(nodeKeys(key), 'oneil').privateKey.reveal()
  const second = ask(lab, 'oneil', own)
  assert.equal(second.status, 78, second.stderr)
  assert.match(second.stderr, /refused to oneil: it is in the swarm/)
  assert.equal(second.stdout, '')
  const stranger = ask(lab, 'oneil', joinKey(nodeKeys(key), 'kinsey').privateKey.reveal())
  assert.equal(stranger.status, 255)
  assert.match(stranger.stderr, /Permission denied/)
  // Whatever is asked, the forced command answers, and only about the key's own node.
  const other = ask(lab, 'oneil', joinKey(nodeKeys(key), 'tealc').privateKey.reveal())
  assert.match(other.stdout, /^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}\n$/)
  const workerToken = lab.inside('hammond', 'docker swarm join-token -q worker').stdout
  assert.equal(other.stdout, workerToken)

  lab.powerOff('hammond')
  lab.powerOn('carter')
  // From early in its boot to well after its joining.
  for (let cut = 1; cut <= 10; cut++) {
    lab.powerOn('tealc')
    if (cut === 3) lab.powerOn('hammond')
    const delay = 300 + cut * 450 + ((cut * 7919) % 400)
    await new Promise((resolve) => setTimeout(resolve, delay))
    lab.powerOff('tealc')
  }
  lab.powerOn('tealc')
  await assertFormed(lab)
  const rotated = lab.inside('hammond', 'docker swarm join-token -q worker').stdout
  assert.notEqual(rotated, workerToken, 'the token that was given out is good for nothing now')
})
