import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import {
  calls,
  type FakePi,
  lay,
  modeOf,
  readRoot,
  type ShellName,
  shells,
  snapshot,
  stub,
} from './fake-pi.ts'
import { aptCalls, note, pi4, type StepPi, type System, serveDownloads, stepPi } from './step.ts'

const flannel = `net-conf.json: |
  { "Network": "10.244.0.0/16", "Backend": { "Type": "vxlan" } }
spec:
      containers:
      - args:
        - --ip-masq
        - --kube-subnet-mgr
        command:
`
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex')
const token = 'abcdef.0123456789abcdef'

/** A Pi that has come up, whose packages are installed; kubeadm is a stand-in that keeps the settings it is given. */
function kubePi(
  t: TestContext,
  role: 'head' | 'worker',
  options: { shell?: ShellName; system?: System } = {},
): StepPi | undefined {
  const made = stepPi(t, 'kubeadm', {
    ...options,
    running: true,
    files: {
      'etc/piimage/secrets/kubeadm-token': `${token}\n`,
      ...(role === 'head' ? { 'etc/piimage/secrets/cluster-ca-key': 'CA-KEY\n' } : {}),
      'opt/piimage/material/cluster-ca': 'CA\n',
      'opt/piimage/material/cluster-ca-digest': 'sha256:abc\n',
      'opt/piimage/kubeadm/flannel.yml': flannel,
      'opt/piimage/kubeadm/flannel.yml.sha256': `${digestOf(flannel)}  flannel.yml\n`,
      'etc/fstab': '/swap none swap sw 0 0\n/ / ext4 defaults 0 1\n',
      'lib/systemd/system/dphys-swapfile.service': '',
      'lib/systemd/system/containerd.service': '',
      'lib/systemd/system/kubelet.service': '',
    },
    programs: {
      ...Object.fromEntries(
        ['kubelet', 'modprobe', 'sysctl', 'swapoff', 'apt-mark', 'kubectl'].map((name) => [name, ':']),
      ),
      containerd: "printf '[runc.options]\\n    SystemdCgroup = false\\n'",
      ip: "echo '2: eth0 inet 10.3.50.1/24'",
      df: "echo; echo 'x 1 1 4000000 1% /var'",
    },
    env: {
      PIIMAGE_ROLE: role,
      PIIMAGE_CLUSTER: 'magi',
      PIIMAGE_KUBEADM_MINOR: 'v1.34',
      PIIMAGE_KUBEADM_MIRROR: 'https://mirror.example/core:/stable:',
      PIIMAGE_KUBEADM_FINGERPRINT: '0'.repeat(40),
      PIIMAGE_KUBEADM_IGNORE_PREFLIGHT: 'Mem NumCPU',
      PIIMAGE_KUBEADM_HEAD_ADDRESS: '10.3.50.1',
      PIIMAGE_KUBEADM_POD_NETWORK: '10.200.0.0/16',
      PIIMAGE_KUBEADM_NETWORK: '10.3.50.0/24',
      PIIMAGE_KUBEADM_ADDRESS: role === 'head' ? '10.3.50.1' : '10.3.50.11',
      PIIMAGE_KUBEADM_LABELS: 'board=pi4,disk=ssd',
    },
  })
  if (made !== undefined) kubeadm(made.pi, ':')
  return made
}

/** @param script what init and join do after the settings were kept */
const kubeadm = (pi: FakePi, script: string) =>
  stub(
    pi,
    'kubeadm',
    `${note(pi)}
case $1 in
  version) echo v1.34.2 ;;
  reset) rm -rf '${pi.root}/etc/kubernetes' ;;
  init | join) cp "$3" '${pi.folder}/settings'; stat -c %a "$3" >'${pi.folder}/mode'; ${script} ;;
esac`,
  )
const settingsOf = (pi: FakePi) => readFileSync(join(pi.folder, 'settings'), 'utf8')
const kubeadmCalls = (pi: FakePi) =>
  calls(pi)
    .filter((call) => /^kubeadm (init|join|reset)/.test(call))
    .map((call) => call.split(' ')[1])

const registration = (name: string, ip: string) => ({
  name,
  criSocket: 'unix:///run/containerd/containerd.sock',
  ignorePreflightErrors: ['Mem', 'NumCPU'],
  kubeletExtraArgs: [
    { name: 'node-ip', value: ip },
    { name: 'node-labels', value: 'board=pi4,disk=ssd' },
  ],
})

for (const shell of shells) {
  test(`kubeadm on the head under ${shell}: authority, settings, flannel; and again the same`, (t) => {
    const made = kubePi(t, 'head', { shell })
    if (made === undefined) return
    const { pi, step } = made
    const ended = step()
    assert.equal(ended.status, 0, ended.output)
    const [init, cluster, kubelet] = parseAllDocuments(settingsOf(pi)).map((document) => document.toJS())
    assert.deepEqual(init, {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'InitConfiguration',
      bootstrapTokens: [{ token, ttl: '24h0m0s' }],
      localAPIEndpoint: { advertiseAddress: '10.3.50.1', bindPort: 6443 },
      nodeRegistration: registration('oneil', '10.3.50.1'),
    })
    assert.deepEqual(cluster, {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'ClusterConfiguration',
      clusterName: 'magi',
      kubernetesVersion: 'v1.34.2',
      networking: { podSubnet: '10.200.0.0/16', serviceSubnet: '10.96.0.0/12' },
    })
    assert.equal(kubelet.cgroupDriver, 'systemd')
    assert.equal(readFileSync(join(pi.folder, 'mode'), 'utf8'), '600\n')
    assert.equal(readRoot(pi, 'etc/kubernetes/pki/ca.key'), 'CA-KEY\n')
    assert.equal(modeOf(pi, 'etc/kubernetes/pki/ca.key'), '600')
    assert.match(readRoot(pi, 'etc/containerd/config.toml'), /^ {4}SystemdCgroup = true$/m)
    const applied = parse(readRoot(pi, 'run/piimage/flannel-applied.yml')) as {
      'net-conf.json': string
      spec: { containers: { args: string[] }[] }
    }
    assert.deepEqual(applied.spec.containers[0]?.args, [
      '--ip-masq',
      '--kube-subnet-mgr',
      '--iface-can-reach=10.3.50.0',
    ])
    assert.equal(JSON.parse(applied['net-conf.json']).Network, '10.200.0.0/16')
    assert.match(readRoot(pi, 'etc/fstab'), /^#\/swap none swap sw 0 0\n\/ \/ ext4/m)
    assert.ok(calls(pi).some((call) => /^systemctl .*disable dphys-swapfile\.service$/.test(call)))
    assert.ok(calls(pi).includes('swapoff -a'))
    for (const gone of [
      'etc/piimage/secrets/kubeadm-token',
      'etc/piimage/secrets/cluster-ca-key',
      'etc/piimage/kubeadm.yaml',
    ])
      assert.ok(!existsSync(join(pi.root, gone)), gone)
    const before = snapshot(pi.root)
    const again = step()
    assert.equal(again.status, 0, again.output)
    assert.deepEqual(snapshot(pi.root), before)
    assert.deepEqual(kubeadmCalls(pi), ['init'])
    assert.equal(calls(pi).filter((call) => call === 'systemctl restart containerd.service').length, 1)
  })

  test(`kubeadm on a worker under ${shell}: token and digest, and again the same`, (t) => {
    const made = kubePi(t, 'worker', { shell })
    if (made === undefined) return
    const { pi, step } = made
    const ended = step()
    assert.equal(ended.status, 0, ended.output)
    assert.deepEqual(parse(settingsOf(pi)), {
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'JoinConfiguration',
      discovery: {
        bootstrapToken: { apiServerEndpoint: '10.3.50.1:6443', token, caCertHashes: ['sha256:abc'] },
      },
      timeouts: { discovery: '1m0s' },
      nodeRegistration: registration('oneil', '10.3.50.11'),
    })
    assert.equal(readFileSync(join(pi.folder, 'mode'), 'utf8'), '600\n')
    assert.ok(!ended.output.includes(token))
    const before = snapshot(pi.root)
    assert.equal(step().status, 0)
    assert.deepEqual(snapshot(pi.root), before)
    assert.deepEqual(kubeadmCalls(pi), ['join'])
  })
}

test('kubeadm: a worker waits for its head, and clears each attempt that failed', (t) => {
  const made = kubePi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  kubeadm(pi, 'exit 1')
  for (const _ of [1, 2]) {
    const ended = step()
    assert.equal(ended.status, 75, ended.output)
    assert.match(ended.output, /the head \(10\.3\.50\.1\) has not taken this node in yet/)
  }
  kubeadm(pi, ':')
  assert.equal(step().status, 0)
  assert.deepEqual(kubeadmCalls(pi), ['join', 'reset', 'join', 'reset', 'join'])
})

test('kubeadm: a worker made again with its volume is in already, whatever became of the token', (t) => {
  const made = kubePi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  lay(pi.root, { 'etc/kubernetes/kubelet.conf': 'kind: Config\n' })
  kubeadm(pi, 'exit 1')
  assert.equal(step().status, 0)
  assert.deepEqual(kubeadmCalls(pi), [])
  assert.ok(calls(pi).some((call) => call.endsWith('restart kubelet.service')))
  // What an attempt that was cut off left on the volume is not a node's.
  const half = kubePi(t, 'worker')
  if (half === undefined) return
  lay(half.pi.root, { 'etc/kubernetes/kubelet.conf': 'kind: Config\n', 'etc/kubernetes/piimage.begun': '' })
  assert.equal(half.step().status, 0)
  assert.deepEqual(kubeadmCalls(half.pi), ['reset', 'join'])
})

test('kubeadm: a head that lost power half way starts over with the same authority', (t) => {
  const made = kubePi(t, 'head')
  if (made === undefined) return
  const { pi, step } = made
  kubeadm(pi, 'echo half >"$(dirname "$3")/../kubernetes/admin.conf"; kill -9 $PPID')
  const cut = step()
  assert.notEqual(cut.status, 0)
  assert.ok(existsSync(join(pi.root, 'etc/kubernetes/admin.conf')))
  kubeadm(pi, ':')
  const ended = step()
  assert.equal(ended.status, 0, ended.output)
  assert.deepEqual(kubeadmCalls(pi), ['init', 'reset', 'init'])
  assert.equal(readRoot(pi, 'etc/kubernetes/pki/ca.key'), 'CA-KEY\n')
  assert.ok(!existsSync(join(pi.root, 'etc/kubernetes/admin.conf')))
})

test('kubeadm: the head waits for its own address', (t) => {
  const made = kubePi(t, 'head')
  if (made === undefined) return
  stub(made.pi, 'ip', ':')
  const ended = made.step()
  assert.equal(ended.status, 75)
  assert.match(ended.output, /does not have its address 10\.3\.50\.1 yet/)
  assert.deepEqual(kubeadmCalls(made.pi), [])
})

test('kubeadm: what never works is given up at once', (t) => {
  const old = kubePi(t, 'worker', { system: { ...pi4, cpu: 'armv7l', architecture: 'armhf' } })
  const bare = kubePi(t, 'worker')
  if (old === undefined || bare === undefined) return
  const ended = old.step()
  assert.equal(ended.status, 78)
  assert.match(ended.output, /Kubernetes left 32-bit ARM with 1\.27/)
  lay(bare.pi.root, { 'sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io pids\n' })
  assert.equal(bare.step().status, 78)
})

test('kubeadm: a manifest of flannel that is damaged, or another than the one named, is not applied', (t) => {
  const made = kubePi(t, 'head')
  if (made === undefined) return
  const { pi, step } = made
  const applied = () => calls(pi).some((call) => call.includes('apply'))
  lay(pi.root, { 'opt/piimage/kubeadm/flannel.yml': `${flannel}# changed\n` })
  assert.match(step().output, /flannel\.yml on the card is damaged/)
  rmSync(join(pi.root, 'opt/piimage/kubeadm/flannel.yml'))
  lay(pi.root, {
    'etc/piimage/flannel.sha256': `${digestOf(flannel)}  https://example.org/f.yml\n`,
  })
  serveDownloads(pi, `${flannel}# changed\n`)
  assert.match(step().output, /the manifest of flannel that was fetched is not the one with the digest/)
  assert.ok(!applied())
  lay(pi.root, { served: flannel })
  assert.equal(step().status, 0)
  assert.ok(applied())
})

/** A Pi without packages, which apt brings. */
function barePi(t: TestContext, role: 'head' | 'worker'): StepPi | undefined {
  const made = kubePi(t, role)
  if (made === undefined) return undefined
  const { pi } = made
  stub(pi, 'gpg', "printf 'pub:::\\nfpr:::::::::%s:\\n' 0000000000000000000000000000000000000000")
  lay(pi.root, { 'opt/piimage/kubeadm/key.asc': 'KEY\n' })
  const brings = ['kubeadm', 'kubelet', 'containerd']
  for (const name of brings) {
    lay(pi.folder, { [`packages/${name}`]: readFileSync(join(pi.bin, name), 'utf8') })
  }
  for (const name of brings) rmSync(join(pi.bin, name))
  stub(
    pi,
    'apt-get',
    `${note(pi)}; case " $* " in *' install '*) for name in ${brings.join(' ')}; do cp '${pi.folder}/packages/'$name '${pi.bin}/'; chmod 755 '${pi.bin}/'$name; done ;; esac`,
  )
  return made
}

test('kubeadm from its archive: key, source, packages that stay at their version', (t) => {
  const made = barePi(t, 'worker')
  if (made === undefined) return
  const { pi, step } = made
  const ended = step()
  assert.equal(ended.status, 0, ended.output)
  assert.equal(
    readRoot(pi, 'etc/apt/sources.list.d/kubernetes.sources'),
    `Types: deb
URIs: https://mirror.example/core:/stable:/v1.34/deb/
Suites: /
Signed-By: /etc/apt/keyrings/kubernetes.asc
`,
  )
  assert.deepEqual(aptCalls(pi), [
    'update',
    'install --no-install-recommends containerd kubelet kubeadm kubectl',
  ])
  assert.ok(calls(pi).includes('apt-mark hold kubelet kubeadm kubectl'))
})

test('kubeadm: another key than the one that is named is not used', (t) => {
  const made = barePi(t, 'worker')
  if (made === undefined) return
  const ended = made.step({ PIIMAGE_KUBEADM_FINGERPRINT: '1'.repeat(40) })
  assert.equal(ended.status, 1)
  assert.match(ended.output, /the archive's key is not 1{40}/)
  assert.deepEqual(aptCalls(made.pi), [])
})

test('kubeadm: too little room is seen before anything is fetched', (t) => {
  const made = barePi(t, 'worker')
  if (made === undefined) return
  stub(made.pi, 'df', "echo; echo 'x 1 1 102400 1% /var'")
  assert.match(made.step().output, /Kubernetes needs 1500 MB, and 100 MB are free/)
  assert.deepEqual(aptCalls(made.pi), [])
})
