import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import type { Node } from '../../src/cluster/node.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { keys, makeCluster, makeNode, use } from '../customise/cluster.ts'
import { stockFiles } from '../customise/stock.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'
import { calls, type FakePi, lay, type ShellName, shells, snapshot, stub } from './fake-pi.ts'
import { note, pi4, readyPi, runStep, zero } from './step.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

/** The texts of a node's payload, by path in it. */
async function payloadOf(
  role: Node['role'],
  parameters: Record<string, unknown> = {},
): Promise<Map<string, string>> {
  const make = (name: string, nodeRole: Node['role'], ip: string) =>
    makeNode({
      name,
      role: nodeRole,
      interfaces: [{ name: 'eth0', address: { ip, prefix: 24 }, dns: [] }],
      overlays: [
        ...['cgroups', 'docker', 'swarm'].map((overlay) => use(overlay)),
        use('portainer', parameters),
      ],
    })
  const nodes = [make('hammond', 'head', '172.19.181.254'), make('oneil', 'worker', '172.19.181.1')]
  const node = nodes.find((candidate) => candidate.role === role)
  assert.ok(node)
  const { files } = await planBoot({
    cluster: makeCluster(nodes, { join: { kind: 'swarm', head: 'hammond', by: 'pull' } }),
    node,
    image: { key: 'raspios-trixie-arm64-lite@2025-12-04', version: '2025-12-04', arch: 'arm64' },
    boot: bootFilesOf(stockFiles('trixie')),
    overlays,
    keys,
  })
  return new Map(
    files.map(({ path, after }) => [
      path.replace(/^piimage\//, ''),
      Buffer.from(after ?? []).toString('utf8'),
    ]),
  )
}

async function stackOf(parameters?: Record<string, unknown>): Promise<string> {
  const payload = await payloadOf('head', parameters)
  const line = payload
    .get('files.list')
    ?.split('\n')
    .find((candidate) => candidate.includes('/etc/piimage/portainer.yaml'))
  return payload.get(line?.split(' ')[4] ?? '') ?? ''
}

test('portainer: the server stays on the head, agents are everywhere but on ARMv6, images have one tag', async () => {
  const stack = await stackOf({ tag: '2.21.5' })
  const { services } = parse(stack) as {
    services: Record<
      string,
      { image: string; deploy: { mode: string; placement: { constraints: string[] } } }
    >
  }
  const { agent, portainer } = services
  assert.ok(agent && portainer)
  assert.deepEqual(
    [agent.image, portainer.image],
    ['portainer/agent:2.21.5', 'portainer/portainer-ce:2.21.5'],
  )
  assert.equal(agent.deploy.mode, 'global')
  assert.ok(agent.deploy.placement.constraints.includes('node.labels.arch != armv6'))
  assert.deepEqual(portainer.deploy.placement.constraints, [
    'node.role == manager',
    'node.hostname == hammond',
  ])
  assert.doesNotMatch(await stackOf(), /:latest/)
})

test('portainer: Docker itself takes the stack', async (t) => {
  // Not every Docker can judge a stack without a swarm.
  if (run('sh', ['-c', 'docker stack config --help']).status !== 0) return t.skip('needs docker 23 or later')
  const file = join(tempFolder(t), 'stack.yaml')
  writeFileSync(file, await stackOf())
  const judged = run('docker', ['stack', 'config', '-c', file])
  assert.equal(judged.status, 0, judged.stderr)
})

test('portainer: only the head has the password and the step', async () => {
  const [head, worker] = [await payloadOf('head'), await payloadOf('worker')]
  assert.match(head.get('secrets/portainer-password') ?? '', /^[A-Za-z2-9]{24}$/)
  assert.ok(head.has('firstboot.d/60-portainer.sh'))
  for (const path of worker.keys()) assert.doesNotMatch(path, /portainer/)
})

/** A head whose docker is a stand-in that keeps its secrets. */
function portainerPi(t: TestContext, shell: ShellName = 'dash', state = 'active/true'): FakePi | undefined {
  const pi = readyPi(t, pi4, { shell })
  if (pi === undefined) return undefined
  lay(pi.root, {
    'etc/piimage/secrets/portainer-password': 'S3cretPassword',
    'etc/piimage/portainer.yaml': 'services: {}\n',
  })
  docker(pi, state)
  return pi
}

const docker = (pi: FakePi, state: string, deploy = ':', leastApi = '1.24') =>
  stub(
    pi,
    'docker',
    `${note(pi)}
case "$1 $2" in
  'info -f') echo ${state} ;;
  'version -f') echo ${leastApi} ;;
  'secret inspect') [ -e '${pi.folder}/secret' ] ;;
  'secret create') cat >'${pi.folder}/secret' ;;
  'stack deploy') ${deploy} ;;
esac`,
  )
/** Whether the step says that this Portainer can't talk to a Docker whose API begins there. */
const warns = (t: TestContext, tag: string, leastApi: string): boolean | undefined => {
  const pi = portainerPi(t)
  if (pi === undefined) return undefined
  docker(pi, 'active/true', ':', leastApi)
  const ended = runStep(pi, 'portainer', { PIIMAGE_PORTAINER_TAG: tag })
  assert.equal(ended.status, 0, ended.output)
  assert.equal(made(pi).length, 2, 'the stack is deployed in any case')
  return ended.output.includes(`Portainer ${tag} can't load this swarm`)
}

test('portainer: the default tag, and every other, beside the API that Docker still answers to', (t) => {
  const tag = overlays.get('portainer')?.parameters.tag?.default
  if (warns(t, String(tag), '1.44') === undefined) return
  for (const [older, api] of [
    ['2.27.3', '1.44'],
    ['2.33.4', '1.44'],
    ['2.33.4-alpine', '1.44'],
    ['2.35.0', '1.44'],
    ['1.24.2', '1.52'],
  ] as const)
    assert.ok(warns(t, older, api), `${older} ${api}`)
  for (const [fine, api] of [
    [String(tag), '1.44'],
    ['2.33.5', '1.44'],
    ['2.36.0-alpine', '1.44'],
    ['2.45.0', '1.100'],
    ['3.0.0', '1.44'],
    ['lts', '1.44'],
    ['2.27.3', '1.24'],
    ['2.27.3', '1.43'],
    ['2.27.3', "''"],
  ] as const)
    assert.ok(!warns(t, fine, api), `${fine} ${api}`)
})

const made = (pi: FakePi) => calls(pi).filter((call) => / (create|deploy) /.test(call))

for (const shell of shells)
  test(`portainer under ${shell}: the secret once and before the stack`, (t) => {
    const pi = portainerPi(t, shell)
    if (pi === undefined) return
    const ended = runStep(pi, 'portainer')
    assert.equal(ended.status, 0, ended.output)
    const deploy = `docker stack deploy --resolve-image changed -c ${pi.root}/etc/piimage/portainer.yaml portainer`
    assert.deepEqual(made(pi), ['docker secret create portainer-admin -', deploy])
    assert.equal(readFileSync(join(pi.folder, 'secret'), 'utf8'), 'S3cretPassword')
    assert.ok(!ended.output.includes('S3cret'))
    const files = snapshot(pi.root)
    assert.equal(runStep(pi, 'portainer').status, 0)
    assert.deepEqual(snapshot(pi.root), files)
    assert.deepEqual(made(pi), ['docker secret create portainer-admin -', deploy, deploy])
  })

test('portainer waits for the swarm', (t) => {
  for (const state of ['inactive/false', 'pending/false', 'active/false', "''"]) {
    const pi = portainerPi(t, 'dash', state)
    if (pi === undefined) return
    const ended = runStep(pi, 'portainer')
    assert.equal(ended.status, 75, state)
    assert.match(ended.output, /no manager of a swarm yet/)
    assert.ok(!existsSync(join(pi.folder, 'secret')))
    docker(pi, 'active/true')
    assert.equal(runStep(pi, 'portainer').status, 0)
  }
})

test('portainer: what goes wrong is said, and the next attempt succeeds', (t) => {
  const pi = portainerPi(t)
  if (pi === undefined) return
  docker(pi, 'active/true', 'echo no such image >&2; exit 1')
  const ended = runStep(pi, 'portainer')
  assert.equal(ended.status, 1)
  assert.match(ended.output, /the stack could not be deployed/)
  docker(pi, 'active/true')
  assert.equal(runStep(pi, 'portainer').status, 0)
})

test('portainer on a head with ARMv6 is given up at once', (t) => {
  const pi = readyPi(t, zero)
  if (pi === undefined) return
  const ended = runStep(pi, 'portainer')
  assert.equal(ended.status, 78)
  assert.match(ended.output, /no image for ARMv6/)
})
