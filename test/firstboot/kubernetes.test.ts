/** kubeadm and k3s, as far as the files they read and the calls that join: their images can't be had in a test. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { keys, makeCluster, makeNode, use } from '../customise/cluster.ts'
import { stockBoot } from '../customise/stock.ts'
import { needTool, run } from '../support/tools.ts'
import {
  calls,
  type Ended,
  type FakePi,
  lay,
  modeOf,
  readRoot,
  type ShellName,
  shells,
  snapshot,
  stub,
} from './fake-pi.ts'
import { aptCalls, note, pi4, readyPi, runStep, type System, zero } from './step.ts'

const at = (ip: string) => [{ name: 'eth0', address: { ip, prefix: 24 }, dns: [] }]

function clusterOf(kind: 'kubeadm' | 'k3s', parameters: Record<string, unknown> = {}): Cluster {
  const overlays = [use(kind, parameters)]
  const nodes: Node[] = [
    makeNode({ name: 'caspar', role: 'head', interfaces: at('10.3.50.1'), overlays }),
    makeNode({ name: 'balthasar', interfaces: at('10.3.50.11'), overlays }),
  ]
  return makeCluster(nodes, { join: { kind, head: 'caspar', by: 'pull' } })
}

interface Ready {
  pi: FakePi
  step: () => Ended
}

/** A node of the cluster with its own payload and secrets in place; what it downloads lies in `served`. */
async function nodeOf(
  t: TestContext,
  kind: 'kubeadm' | 'k3s',
  name: string,
  options: { parameters?: Record<string, unknown>; system?: System; shell?: ShellName } = {},
): Promise<Ready | undefined> {
  const pi = readyPi(t, options.system ?? pi4, { shell: options.shell ?? 'dash' })
  if (pi === undefined) return undefined
  const cluster = clusterOf(kind, options.parameters)
  const node = cluster.nodes.find((candidate) => candidate.name === name)
  assert.ok(node)
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const image = { key: node.image, version: '1', arch: 'arm64' } as const
  const { files } = await planBoot({ cluster, node, image, boot: stockBoot('bookworm'), overlays, keys })
  const env: Record<string, string> = {}
  for (const { path, after } of files) {
    const text = Buffer.from(after ?? []).toString()
    if (path.startsWith('piimage/secrets/'))
      lay(pi.root, { [`etc/piimage/${path.slice('piimage/'.length)}`]: text })
    else if (path.startsWith('piimage/')) lay(pi.root, { [`opt/${path}`]: text })
    if (path === 'piimage/node.env')
      for (const [, key = '', value = ''] of text.matchAll(/^([A-Z0-9_]+)='(.*)'$/gm)) env[key] = value
  }
  mkdirSync(join(pi.folder, 'served'))
  lay(pi.root, { 'usr/lib/apt/apt-helper': '', 'lib/systemd/system/containerd.service': '' })
  stub(pi, 'apt-helper', `${note(pi)}; cp "${pi.folder}/served/\${2##*/}" "$3"`)
  lay(pi.root, { 'usr/lib/apt/apt-helper': readFileSync(join(pi.bin, 'apt-helper'), 'utf8') })
  run('chmod', ['755', join(pi.root, 'usr/lib/apt/apt-helper')])
  for (const program of ['kubelet', 'kubectl', 'swapoff', 'apt-mark']) stub(pi, program, note(pi))
  stub(pi, 'containerd', 'printf "[x]\\nSystemdCgroup = false\\n"')
  stub(
    pi,
    'kubeadm',
    `${note(pi)}; cp "$3" '${pi.folder}/seen.yaml'; mkdir -p '${pi.root}/etc/kubernetes'; case $1 in init) echo >'${pi.root}/etc/kubernetes/admin.conf' ;; join) echo >'${pi.root}/etc/kubernetes/kubelet.conf' ;; esac`,
  )
  return { pi, step: () => runStep(pi, kind, { ...env, PIIMAGE_NODE: name }) }
}

const seen = (pi: FakePi): string => readFileSync(join(pi.folder, 'seen.yaml'), 'utf8')

/** sha256 of the public key in a certificate, as kubeadm's documentation computes it. */
function publicKeyDigest(certificate: string): string {
  const publicKey = run('openssl', ['x509', '-pubkey', '-noout'], { input: certificate }).stdout
  const der = run('sh', ['-c', 'openssl pkey -pubin -outform der | sha256sum'], { input: publicKey })
  return der.stdout.split(' ')[0] ?? ''
}

for (const shell of shells)
  test(`kubeadm under ${shell}: a worker asks for the authority that its head has`, async (t) => {
    if (needTool(t, 'openssl', 'openssl') === undefined) return
    const head = await nodeOf(t, 'kubeadm', 'caspar', { shell })
    const worker = await nodeOf(t, 'kubeadm', 'balthasar', { shell })
    if (head === undefined || worker === undefined) return

    const made = head.step()
    assert.equal(made.status, 0, made.output)
    const token = /token: ([a-z0-9]{6}\.[a-z0-9]{16})\n/.exec(seen(head.pi))?.[1]
    assert.ok(token)
    assert.match(seen(head.pi), /advertiseAddress: 10\.3\.50\.1\n[\s\S]*podSubnet: 10\.244\.0\.0\/16\n/)
    const certificate = readRoot(head.pi, 'etc/kubernetes/pki/ca.crt')
    assert.equal(modeOf(head.pi, 'etc/kubernetes/pki/ca.key'), '600')
    assert.ok(!existsSync(join(head.pi.root, 'etc/piimage/secrets/cluster-ca-key')))

    const joined = worker.step()
    assert.equal(joined.status, 0, joined.output)
    assert.ok(seen(worker.pi).includes(`token: ${token}\n`))
    assert.ok(seen(worker.pi).includes(`caCertHashes: ["sha256:${publicKeyDigest(certificate)}"]`))
    assert.ok(!existsSync(join(worker.pi.root, 'etc/kubernetes/pki/ca.key')), 'only the head has the key')
    assert.match(readRoot(worker.pi, 'etc/containerd/config.toml'), /SystemdCgroup = true/)

    for (const { pi, step } of [head, worker]) {
      assert.ok(!calls(pi).join('\n').includes(token), 'the token is no argument')
      assert.ok(!existsSync(join(pi.root, 'etc/piimage/kubeadm.yaml')))
      assert.ok(!existsSync(join(pi.root, 'etc/piimage/secrets/kubeadm-token')))
      const before = snapshot(pi.root)
      assert.equal(step().status, 0)
      assert.deepEqual(snapshot(pi.root), before)
    }
  })

test('kubeadm: swap goes, and stays away', async (t) => {
  const worker = await nodeOf(t, 'kubeadm', 'balthasar')
  if (worker === undefined) return
  lay(worker.pi.root, {
    'etc/fstab': 'PARTUUID=1-02 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n',
    'lib/systemd/system/dphys-swapfile.service': '',
  })
  assert.equal(worker.step().status, 0)
  assert.equal(
    readRoot(worker.pi, 'etc/fstab'),
    'PARTUUID=1-02 / ext4 defaults 0 1\n#/swapfile none swap sw 0 0\n',
  )
  assert.ok(
    calls(worker.pi).some((call) => /^systemctl --root=\S+ disable dphys-swapfile.service$/.test(call)),
  )
})

test('kubeadm: from its archive where it is not there, and held', async (t) => {
  const worker = await nodeOf(t, 'kubeadm', 'balthasar')
  if (worker === undefined) return
  const { pi } = worker
  run('rm', [join(pi.bin, 'kubelet')])
  writeFileSync(join(pi.folder, 'served/Release.key'), 'key')
  assert.equal(worker.step().status, 0)
  assert.match(
    readRoot(pi, 'etc/apt/sources.list.d/kubernetes.sources'),
    /URIs: .*\/v1\.33\/deb\/\nSuites: \/\n/,
  )
  assert.deepEqual(aptCalls(pi), [
    'update',
    'install --no-install-recommends kubelet kubeadm kubectl cri-tools conntrack',
  ])
  assert.ok(calls(pi).includes('apt-mark hold kubelet kubeadm kubectl'))
})

const refusals: {
  name: string
  kind: 'kubeadm' | 'k3s'
  system?: System
  change?: Record<string, string>
  status: number
  says: RegExp
}[] = [
  {
    name: 'kubeadm on 32 bits',
    kind: 'kubeadm',
    system: { ...pi4, architecture: 'armhf' },
    status: 78,
    says: /left 32-bit ARM/,
  },
  { name: 'k3s on ARMv6', kind: 'k3s', system: zero, status: 78, says: /does not run on ARMv6/ },
  {
    name: 'kubeadm without the memory controller',
    kind: 'kubeadm',
    change: { 'sys/fs/cgroup/cgroup.controllers': 'cpu io\n' },
    status: 1,
    says: /no memory control group/,
  },
  {
    name: 'k3s without the memory controller',
    kind: 'k3s',
    change: { 'sys/fs/cgroup/cgroup.controllers': 'cpu io\n' },
    status: 1,
    says: /no memory control group/,
  },
]
for (const { name, kind, system, change, status, says } of refusals)
  test(`${name}: said, and nothing done`, async (t) => {
    const node = await nodeOf(t, kind, 'balthasar', system === undefined ? {} : { system })
    if (node === undefined) return
    lay(node.pi.root, change ?? {})
    const before = snapshot(node.pi.root)
    const ended = node.step()
    assert.equal(ended.status, status, ended.output)
    assert.match(ended.output, says)
    const { 'run/piimage/reason': reason, ...after } = snapshot(node.pi.root)
    for (const folder of ['run', 'run/piimage']) if (!(folder in before)) delete after[folder]
    assert.match(reason ?? '', says)
    assert.deepEqual(after, before)
  })

test('kubeadm: a pod network with another digest is not applied', async (t) => {
  const manifest = 'kind: Namespace\n'
  const right = createHash('sha256').update(manifest).digest('hex')
  for (const [flannelSha256, status] of [
    ['0'.repeat(64), 1],
    [right, 0],
  ] as const) {
    const parameters = { flannelUrl: 'https://example.org/kube-flannel.yml', flannelSha256 }
    const head = await nodeOf(t, 'kubeadm', 'caspar', { parameters })
    if (head === undefined) return
    writeFileSync(join(head.pi.folder, 'served/kube-flannel.yml'), manifest)
    const ended = head.step()
    assert.equal(ended.status, status, ended.output)
    assert.equal(
      calls(head.pi).some((call) => call.startsWith('kubectl apply')),
      status === 0,
    )
  }
})

test('kubeadm: a head that does not answer yet is waited for, with the token kept', async (t) => {
  const worker = await nodeOf(t, 'kubeadm', 'balthasar')
  if (worker === undefined) return
  stub(worker.pi, 'kubeadm', 'exit 1')
  assert.equal(worker.step().status, 75)
  assert.match(
    readRoot(worker.pi, 'run/piimage/reason'),
    /the head at 10\.3\.50\.1 does not take this node yet/,
  )
  assert.ok(existsSync(join(worker.pi.root, 'etc/piimage/secrets/kubeadm-token')))
})

for (const shell of shells)
  test(`k3s under ${shell}: an agent's token starts with the digest of its server's authority`, async (t) => {
    const program = '#!/bin/sh\n'
    const digest = createHash('sha256').update(program).digest('hex')
    const served = (pi: FakePi, sum: string) => {
      writeFileSync(join(pi.folder, 'served/k3s-arm64'), program)
      writeFileSync(join(pi.folder, 'served/sha256sum-arm64.txt'), `${sum}  k3s-arm64\n`)
    }
    const head = await nodeOf(t, 'k3s', 'caspar', { shell })
    const worker = await nodeOf(t, 'k3s', 'balthasar', { shell })
    if (head === undefined || worker === undefined) return
    served(head.pi, digest)
    served(worker.pi, '0'.repeat(64))
    const damaged = worker.step()
    assert.equal(damaged.status, 1)
    assert.match(damaged.output, /k3s has the digest [0-9a-f]{64}, not 0{64}/)
    assert.ok(!existsSync(join(worker.pi.root, 'usr/local/bin/k3s')))
    served(worker.pi, digest)

    for (const { step, pi } of [head, worker]) {
      const ended = step()
      assert.equal(ended.status, 0, ended.output)
      assert.equal(modeOf(pi, 'usr/local/bin/k3s'), '755')
      const before = snapshot(pi.root)
      assert.equal(step().status, 0)
      assert.deepEqual(snapshot(pi.root), before)
    }
    const certificate = readRoot(head.pi, 'var/lib/rancher/k3s/server/tls/server-ca.crt')
    const token = readRoot(worker.pi, 'etc/piimage/secrets/k3s-agent-token')
    assert.equal(
      /^K10([0-9a-f]{64})::node:/.exec(token)?.[1],
      createHash('sha256').update(certificate).digest('hex'),
    )
    assert.equal(
      token.trim().split(':').at(-1),
      readRoot(head.pi, 'etc/piimage/secrets/k3s-agent-password').trim(),
    )
    assert.match(
      readRoot(worker.pi, 'etc/rancher/k3s/config.yaml'),
      /^server: https:\/\/10\.3\.50\.1:6443\ntoken-file: /,
    )
    assert.equal(readRoot(head.pi, 'etc/rancher/k3s/role'), 'ROLE=server\n')
    for (const secret of ['k3s-token', 'cluster-ca-key', 'k3s-agent-password'])
      assert.ok(!existsSync(join(worker.pi.root, 'etc/piimage/secrets', secret)), secret)
  })
