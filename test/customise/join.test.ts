import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { type BootPlan, planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { parseRight, readStory } from '../cluster/support.ts'
import { standInProgram } from '../support/program.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { assertGolden } from './golden.ts'
import { stock, stockBoot } from './stock.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

const at = (ip: string) => [{ name: 'eth0', address: { ip, prefix: 24 }, dns: [] }]

function clusterOf(kind: 'swarm' | 'kubeadm' | 'k3s' | 'none', by: Cluster['join']['by'] = 'pull'): Cluster {
  const list = { swarm: ['docker', 'swarm'], kubeadm: ['kubeadm'], k3s: ['k3s'], none: [] }[kind]
  const overlays = ['ssh', ...list].map((name) => use(name))
  const nodes: Node[] = [
    makeNode({ name: 'hammond', role: 'head', interfaces: at('172.19.181.254'), overlays }),
    makeNode({ name: 'oneil', interfaces: at('172.19.181.1'), overlays, labels: { room: 'attic' } }),
    makeNode({ name: 'carter', model: 'zero', manager: true, interfaces: at('172.19.181.2'), overlays }),
  ]
  return makeCluster(nodes, { join: { kind, head: 'hammond', by } })
}

const planOf = (cluster: Cluster, name: string, system = 'bookworm'): Promise<BootPlan> => {
  const node = cluster.nodes.find((candidate) => candidate.name === name)
  assert.ok(node)
  const image = { key: node.image, version: '1', arch: 'arm64' } as const
  return planBoot({ cluster, node, image, boot: stockBoot(system), overlays, keys })
}

const textOf = (plan: BootPlan, path: string): string | undefined => {
  const after = plan.files.find((file) => file.path === `piimage/${path}`)?.after
  return after === undefined || after === null ? undefined : Buffer.from(after).toString('utf8')
}

for (const name of ['hammond', 'oneil'])
  test(`a swarm, ${name}: the files are the golden ones`, async () => {
    assertGolden(`swarm/${name}`, await planOf(clusterOf('swarm'), name))
  })

test('a swarm: sshd takes the broker’s keys, and ssh the head’s', async (t) => {
  if (needTool(t, 'ssh-keygen', 'openssh-client') === undefined) return
  const folder = tempFolder(t)
  const cluster = clusterOf('swarm')
  const head = await planOf(cluster, 'hammond')
  const worker = await planOf(cluster, 'oneil')
  const file = (name: string, text = '', mode = 0o600) => {
    writeFileSync(join(folder, name), text, { mode })
    return join(folder, name)
  }
  const authorized = textOf(head, 'material/join-authorized-keys') ?? ''
  assert.match(
    authorized,
    /^restrict,from="172\.19\.181\.0\/24",command="sudo -n \/usr\/local\/sbin\/piimage-join-token oneil \\"\$SSH_ORIGINAL_COMMAND\\"" ssh-ed25519 /,
  )
  const listed = run('ssh-keygen', ['-l', '-f', file('authorized_keys', authorized)])
  assert.equal(listed.status, 0, listed.stderr)
  assert.equal(listed.stdout.trim().split('\n').length, 2, 'a key for each worker')
  const own = run('ssh-keygen', ['-y', '-f', file('key', textOf(worker, 'secrets/join-key'))]).stdout
  assert.ok(authorized.includes(own.split(' ').slice(0, 2).join(' ')))
  const found = run('ssh-keygen', [
    '-F',
    '172.19.181.254',
    '-f',
    file('known_hosts', textOf(worker, 'material/join-known-hosts')),
  ])
  assert.equal(found.status, 0)
})

test('a swarm joined from outside: nothing about joining is on any card', async () => {
  const cluster = clusterOf('swarm', 'ssh-push')
  const worker = await planOf(cluster, 'oneil')
  assert.deepEqual(
    worker.files.filter(({ path }) => /join|swarm/.test(path)),
    [],
  )
  const head = await planOf(cluster, 'hammond')
  assert.equal(textOf(head, 'material/join-authorized-keys'), undefined)
  assert.ok(textOf(head, 'firstboot.d/50-swarm.sh'))
})

test('a swarm: labels and roles for the head', async () => {
  const plan = await planOf(clusterOf('swarm'), 'hammond')
  assert.equal(
    textOf(plan, 'material/swarm-nodes'),
    'hammond manager\noneil worker room=attic\ncarter manager arch=armv6\n',
  )
})

test('docker: packages and key travel with their digests', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'debs'))
  writeFileSync(join(folder, 'debs/docker-ce_5%3a28_arm64.deb'), 'package')
  writeFileSync(join(folder, 'debs/README'), 'not a package')
  writeFileSync(join(folder, 'docker.asc'), 'key')
  const node = makeNode({ overlays: [use('docker', { debs: 'debs', key: 'docker.asc' })] })
  const plan = await planOf({ ...makeCluster([node]), folder }, 'oneil')
  assert.equal(textOf(plan, 'docker/key.asc'), 'key')
  assert.equal(textOf(plan, 'docker/debs/README'), undefined)
  assert.match(
    textOf(plan, 'docker/debs/SHA256SUMS') ?? '',
    /^[0-9a-f]{64} {2}docker-ce_5%3a28_arm64\.deb\n$/,
  )
  for (const [parameters, message] of [
    [{ debs: 'none' }, /debs? cannot be read|none cannot be read/],
    [{ debs: '.' }, /holds none of the files/],
    [{ fingerprint: 'abc' }, /fingerprint/],
    [{ 'address-pool': '172.30.0.0/28' }, /address-pool/],
  ] as const) {
    const wrong = makeNode({ overlays: [use('docker', parameters)] })
    await assert.rejects(planOf({ ...makeCluster([wrong]), folder }, 'oneil'), message)
  }
})

/** Which stock boot partition stands for an image of the examples. */
const systemOf = (image: string): string =>
  image.startsWith('hypriotos-rpi64')
    ? 'hypriotos-arm64'
    : image.startsWith('clusterctrl')
      ? `clusterctrl-${image.split('-')[1]}`
      : (image.split('-')[1] ?? '')

/** The first-boot steps that each node of the examples gets, by kind of cluster. */
for (const [story, wanted] of Object.entries({
  clusterhat: /docker .*swarm/,
  'feeder-diskless': /docker .*swarm/,
  'hypriot-k8s': /kubeadm/,
  magi: /k3s/,
  'mixed-arch': /docker .*swarm/,
}))
  test(`the example ${story}: every node gets the steps that make it one of the cluster`, async (t) => {
    const folder = tempFolder(t)
    // What two of them say to fetch first.
    writeFileSync(join(folder, 'kube-flannel.yml'), 'kube-flannel.yml')
    writeFileSync(join(folder, 'k3s-arm64'), standInProgram('v1.33.4+k3s1'))
    const cluster = { ...(await parseRight(readStory(story))), folder }
    for (const node of cluster.nodes) {
      const system = systemOf(node.image)
      const boot = stockBoot(system in stock ? system : 'bookworm')
      const arch = /arm64|rpi64/.test(node.image) ? 'arm64' : 'armhf'
      const image = { key: node.image, version: '1', arch } as const
      const plan = await planBoot({ cluster, node, image, boot, overlays, keys })
      const steps = plan.files.filter(({ path }) => path.startsWith('piimage/firstboot.d/'))
      const names = steps.map(({ path }) => path.replace(/^.*\/\d\d-(.*)\.sh$/, '$1')).join(' ')
      assert.match(names, wanted, `${node.name}: ${names}`)
      assert.equal(names.includes('router'), node.router !== undefined, node.name)
    }
  })
