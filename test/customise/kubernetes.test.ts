/** What k3s and kubeadm put on the cards: who holds which secret, and that the halves fit together. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { parse } from 'yaml'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import type { Join, Node } from '../../src/cluster/node.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { type BootPlan, planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { standInProgram } from '../support/program.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { stockFiles } from './stock.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

const digest = 'ab'.repeat(32)

interface Planned {
  head: BootPlan
  worker: BootPlan
}

interface Options {
  stock?: string
  arch?: 'arm64' | 'armhf'
  folder?: string
  node?: Partial<Node>
}

async function planBoth(
  kind: Join['kind'],
  parameters: Record<string, unknown>,
  { stock = 'trixie', arch = 'arm64', folder = '/nonexistent', node = {} }: Options = {},
): Promise<Planned> {
  const make = (name: string, role: Node['role'], ip: string) =>
    makeNode({
      name,
      role,
      interfaces: [{ name: 'eth0', address: { ip, prefix: 24 }, dns: [] }],
      labels: { board: 'pi4' },
      overlays: [use('hostname'), use('cgroups'), use(kind, parameters)],
      ...node,
    })
  const nodes = [make('caspar', 'head', '10.3.50.1'), make('balthasar', 'worker', '10.3.50.11')]
  const cluster = makeCluster(nodes, {
    folder,
    network: { cidr: '10.3.50.0/24', dns: [] },
    join: { kind, head: 'caspar', by: 'pull' },
  })
  const plan = (which: Node) =>
    planBoot({
      cluster,
      node: which,
      image: { key: `raspios-trixie-${arch}-lite@2025-12-04`, version: '2025-12-04', arch },
      boot: bootFilesOf(stockFiles(stock)),
      overlays,
      keys,
    })
  const [head, worker] = await Promise.all(nodes.map(plan))
  assert.ok(head && worker)
  return { head, worker }
}

const has = ({ files }: BootPlan, path: string) => files.some((file) => file.path === `piimage/${path}`)
function textOf({ files }: BootPlan, path: string): string {
  const file = files.find((candidate) => candidate.path === `piimage/${path}`)
  assert.ok(file?.after, `${path} is there`)
  return Buffer.from(file.after).toString('utf8')
}

/** What becomes a file of the root file system, with its mode in front. */
function rootFile(plan: BootPlan, path: string): string {
  const line = textOf(plan, 'files.list')
    .split('\n')
    .find((candidate) => candidate.split(' ')[3] === path)
  assert.ok(line, `${path} is there`)
  return `${line.split(' ')[0]} ${textOf(plan, line.split(' ')[4] ?? '')}`
}

const everything = ({ files }: BootPlan) =>
  files.map(({ after }) => Buffer.from(after ?? []).toString('utf8')).join('\n')

const k3s = { version: 'v1.33.4+k3s1', sha256: { arm64: digest } }

test("k3s: the authority's key and the server's token are on the head's card alone", async () => {
  const { head, worker } = await planBoth('k3s', k3s)
  for (const name of ['cluster-ca-key', 'k3s-token', 'k3s-agent-password']) {
    assert.ok(has(head, `secrets/${name}`), name)
    assert.ok(!has(worker, `secrets/${name}`), name)
  }
  assert.doesNotMatch(everything(worker), /EC PRIVATE KEY/)
  assert.ok(!everything(worker).includes(textOf(head, 'secrets/k3s-token').trim()))
})

test('k3s: each node shows the same password every time it is made, and no other does', async () => {
  const [first, again] = [await planBoth('k3s', k3s), await planBoth('k3s', k3s)]
  const of = (plan: BootPlan) => textOf(plan, 'secrets/k3s-node-password')
  assert.match(of(first.worker), /^[0-9a-f]{32}\n$/)
  assert.equal(of(first.worker), of(again.worker))
  assert.notEqual(of(first.worker), of(first.head))
})

test("k3s: a worker's token has the digest of the very file that the head serves", async () => {
  const { head, worker } = await planBoth('k3s', k3s)
  const served = createHash('sha256').update(textOf(head, 'material/cluster-ca')).digest('hex')
  const password = textOf(head, 'secrets/k3s-agent-password').trim()
  assert.equal(textOf(worker, 'secrets/k3s-agent-token'), `K10${served}::node:${password}\n`)
})

test('k3s: settings of server and agent, readable by root only', async () => {
  const { head, worker } = await planBoth('k3s', { ...k3s, disable: ['traefik'] })
  const [server, agent] = [head, worker].map((plan) => rootFile(plan, '/etc/rancher/k3s/config.yaml'))
  assert.match(server ?? '', /^0600 /)
  assert.deepEqual(parse((server ?? '').slice(5)), {
    'token-file': '/etc/rancher/k3s/token',
    'agent-token-file': '/etc/rancher/k3s/agent-token',
    'node-name': 'caspar',
    'node-ip': '10.3.50.1',
    'advertise-address': '10.3.50.1',
    'flannel-iface': 'eth0',
    'tls-san': ['caspar', '10.3.50.1'],
    'node-label': ['board=pi4'],
    disable: ['traefik'],
    'write-kubeconfig-mode': '0600',
  })
  assert.deepEqual(parse((agent ?? '').slice(5)), {
    server: 'https://10.3.50.1:6443',
    'token-file': '/etc/rancher/k3s/token',
    'node-name': 'balthasar',
    'flannel-iface': 'eth0',
    'node-label': ['board=pi4'],
  })
  assert.equal(rootFile(worker, '/etc/piimage/k3s.sha256'), `0644 ${digest}  k3s-arm64\n`)
  assert.match(rootFile(head, '/etc/systemd/system/k3s.service'), /k3s server$/m)
  assert.match(rootFile(worker, '/etc/systemd/system/k3s-agent.service'), /k3s agent$/m)
})

test('k3s: the program can travel on the card, with its digest', async (t) => {
  const folder = tempFolder(t)
  const program = standInProgram('v1.33.4+k3s1')
  writeFileSync(join(folder, 'k3s-arm64'), program)
  const { worker } = await planBoth('k3s', { binary: 'k3s-arm64' }, { folder })
  assert.equal(textOf(worker, 'k3s/k3s'), new TextDecoder().decode(program))
  const expected = createHash('sha256').update(program).digest('hex')
  assert.equal(textOf(worker, 'k3s/k3s.sha256'), `${expected}  k3s\n`)
})

const kubeadm = { minor: 'v1.34', flannel: { url: 'https://example.org/kube-flannel.yml', sha256: digest } }

test("kubeadm: a worker knows the head by the digest of its authority's key, as openssl counts it", async (t) => {
  const openssl = needTool(t, 'openssl', 'openssl')
  if (openssl === undefined) return
  const { head, worker } = await planBoth('kubeadm', kubeadm)
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'ca.crt'), textOf(head, 'material/cluster-ca'))
  writeFileSync(join(folder, 'ca.key'), textOf(head, 'secrets/cluster-ca-key'), { mode: 0o600 })
  const counted = run('sh', [
    '-euc',
    `cd '${folder}'; openssl x509 -in ca.crt -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -r`,
  ])
  assert.equal(textOf(worker, 'material/cluster-ca-digest'), `sha256:${counted.stdout.split(' ')[0]}\n`)
  // The key belongs to the certificate, which signs what a head needs.
  const verified = run('sh', [
    '-euc',
    `cd '${folder}'
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout leaf.key -subj /CN=kube-apiserver -out leaf.csr
openssl x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -out leaf.crt
openssl verify -x509_strict -CAfile ca.crt leaf.crt`,
  ])
  assert.match(verified.stdout, /leaf\.crt: OK/, verified.stderr)
  assert.doesNotMatch(everything(worker), /EC PRIVATE KEY/)
  assert.equal(textOf(head, 'secrets/kubeadm-token'), textOf(worker, 'secrets/kubeadm-token'))
  assert.match(textOf(head, 'secrets/kubeadm-token'), /^[a-z0-9]{6}\.[a-z0-9]{16}\n$/)
})

test('kubeadm: what the nodes are told', async () => {
  const { head, worker } = await planBoth('kubeadm', kubeadm)
  const environment = textOf(worker, 'node.env')
  for (const line of [
    "PIIMAGE_KUBEADM_HEAD_ADDRESS='10.3.50.1'",
    "PIIMAGE_KUBEADM_ADDRESS='10.3.50.11'",
    "PIIMAGE_KUBEADM_NETWORK='10.3.50.0/24'",
    "PIIMAGE_KUBEADM_LABELS='board=pi4'",
    "PIIMAGE_KUBEADM_IGNORE_PREFLIGHT='Mem'",
    "PIIMAGE_KUBEADM_MINOR='v1.34'",
  ])
    assert.ok(environment.includes(`${line}\n`), `${line} in ${environment}`)
  assert.equal(
    rootFile(head, '/etc/piimage/flannel.sha256'),
    `0644 ${digest}  https://example.org/kube-flannel.yml\n`,
  )
  assert.doesNotMatch(textOf(worker, 'files.list'), /flannel/)
  assert.match(rootFile(worker, '/etc/sysctl.d/90-piimage-kubernetes.conf'), /^net\.ipv4\.ip_forward=1$/m)
  assert.match(rootFile(worker, '/etc/rpi/swap.conf.d/90-piimage.conf'), /^Mechanism=none$/m)
})

const refusals: {
  name: string
  kind: 'k3s' | 'kubeadm'
  parameters: Record<string, unknown>
  options?: Options
  message: RegExp
}[] = [
  { name: 'k3s without a program', kind: 'k3s', parameters: {}, message: /must have one of version, binary/ },
  {
    name: 'k3s with two programs',
    kind: 'k3s',
    parameters: { ...k3s, binary: 'k3s' },
    message: /must have only one of version, binary/,
  },
  {
    name: 'k3s without the digest for this image',
    kind: 'k3s',
    parameters: k3s,
    options: { arch: 'armhf' },
    message: /overlay k3s needs armhf under its parameter sha256/,
  },
  {
    name: 'k3s with a digest that is none',
    kind: 'k3s',
    parameters: { version: k3s.version, sha256: { arm64: 'abc' } },
    message: /sha256\.arm64: must be 64 hex digits/,
  },
  {
    name: 'k3s of a version that is none',
    kind: 'k3s',
    parameters: { version: 'latest' },
    message: /version: must be a release of k3s/,
  },
  {
    name: 'k3s from a file that is not there',
    kind: 'k3s',
    parameters: { binary: 'k3s' },
    message: /cannot be read/,
  },
  {
    name: 'kubeadm on a 32-bit image',
    kind: 'kubeadm',
    parameters: kubeadm,
    options: { arch: 'armhf' },
    message: /it needs arm64/,
  },
  {
    name: 'kubeadm on HypriotOS',
    kind: 'kubeadm',
    parameters: kubeadm,
    options: { stock: 'hypriotos-arm64' },
    message: /it needs kernel-6/,
  },
  {
    name: 'kubeadm without packages and flannel',
    kind: 'kubeadm',
    parameters: {},
    message: /must have one of minor, debs; must have one of flannel, flannel-file/,
  },
  {
    name: 'kubeadm of a version whose settings have another form',
    kind: 'kubeadm',
    parameters: { ...kubeadm, minor: 'v1.30' },
    message: /minor: must be the minor version/,
  },
  {
    name: 'a manifest without digest',
    kind: 'kubeadm',
    parameters: { minor: 'v1.34', flannel: { url: 'https://example.org/f.yml' } },
    message: /flannel/,
  },
]
for (const { name, kind, parameters, options, message } of refusals)
  test(`refused: ${name}`, () => assert.rejects(planBoth(kind, parameters, options), message))
