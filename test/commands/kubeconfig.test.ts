/**
 * `export kubeconfig` against a real sshd that shows the head's derived key: a
 * head that is done, one that is not, one whose sudo asks. The head is this
 * machine in namespaces of its own, with an overlay over /etc.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { packageRoot } from '../../src/package-root.ts'
import { formatClusterKey } from '../../src/secrets/cluster-key.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { testKey } from '../secrets/support.ts'
import { DEMO_IMAGE, runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, type Ran } from '../support/tools.ts'

const CLIENT_KEY = 'Y2xpZW50LWtleQ=='

/** As kubeadm, and k3s, write it. */
const admin = (names: { cluster: string; user: string; server: string }) => `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2E=
    server: ${names.server}
  name: ${names.cluster}
contexts:
- context:
    cluster: ${names.cluster}
    user: ${names.user}
  name: ${names.user}@${names.cluster}
current-context: ${names.user}@${names.cluster}
kind: Config
preferences: {}
users:
- name: ${names.user}
  user:
    client-certificate-data: Y2VydA==
    client-key-data: ${CLIENT_KEY}
`
const kinds = {
  kubeadm: {
    path: 'kubernetes/admin.conf',
    text: admin({ cluster: 'magi', user: 'kubernetes-admin', server: 'https://10.3.50.1:6443' }),
  },
  k3s: {
    path: 'rancher/k3s/k3s.yaml',
    text: admin({ cluster: 'default', user: 'default', server: 'https://127.0.0.1:6443' }),
  },
}
const done = '{"step":"firstboot","state":"done","time":"2026-01-01T00:00:00Z","detail":""}'
const waiting =
  '{"step":"50-kubeadm","state":"waiting","time":"2026-01-01T00:00:00Z","detail":"no address yet"}'

interface Head {
  kind: keyof typeof kinds
  status?: string
  /** What it has in place of the kubeconfig. */
  text?: string
  sudo?: string
  /** Whose host key its sshd shows. */
  shown?: string
}

const clusterFile = (kind: string, overlay: string) => `cluster: magi
image: ${DEMO_IMAGE}
user: { name: ops, sshKeys: [id.pub] }
network: { cidr: 10.3.50.0/24 }
overlays: [ssh, ${overlay}]
join: { kind: ${kind}, head: caspar }
nodes:
  caspar: { model: pi4, address: 10.3.50.1/24 }
  melchior: { model: pi4, address: 10.3.50.12/24 }
`
const overlays: Record<string, string> = {
  kubeadm: 'kubeadm: { minor: v1.34, flannel-file: f.yml }',
  k3s: 'k3s: { binary: k3s-arm64 }',
  swarm: 'docker',
}

/** A cluster folder, and piimage run beside the head. */
function openHead(t: TestContext, head: Head) {
  const sshd = needTool(t, 'sshd', 'openssh-server')
  const tools = [needTool(t, 'ip', 'iproute2'), needTool(t, 'unshare', 'util-linux')]
  if (!needRoot(t) || sshd === undefined || tools.includes(undefined)) return undefined
  const folder = tempFolder(t)
  chmodSync(folder, 0o755)
  const file = (name: string) => join(folder, name)
  const lay = (name: string, text: string, mode = 0o644) => {
    mkdirSync(join(file(name), '..'), { recursive: true })
    writeFileSync(file(name), text, { mode })
  }
  const person = makeEd25519Key(Buffer.alloc(32, 7), 'me@laptop')
  lay('id', person.privateKey.reveal(), 0o600)
  lay('id.pub', `${person.publicLine}\n`)
  lay('cluster.yaml', clusterFile(head.kind, overlays[head.kind] ?? ''))
  lay('cluster.key', formatClusterKey(testKey), 0o600)
  copyFileSync(join(packageRoot(), 'images.lock.json'), file('images.lock.json'))
  // The head: the person's account, its sudo, and what Kubernetes keeps. By its number ops is root: nothing else is at hand.
  lay('etc/passwd', `${readFileSync('/etc/passwd', 'utf8')}ops:x:0:0::/root:/bin/sh\n`)
  lay(`etc/${kinds[head.kind].path}`, head.text ?? kinds[head.kind].text, 0o600)
  lay('bin/sudo', head.sudo ?? '#!/bin/sh\n[ "$1" != -n ] || shift\nexec "$@"\n', 0o755)
  lay('lib/status', `${head.status ?? done}\n`)
  lay('host.key', sshHostKey(testKey, head.shown ?? 'caspar').privateKey.reveal(), 0o600)
  lay(
    'sshd.conf',
    `ListenAddress 10.3.50.1\nHostKey ${file('host.key')}\nAuthorizedKeysFile ${file('id.pub')}\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nSetEnv PATH=${file('bin')}:/usr/bin:/bin\n`,
  )
  mkdirSync('/run/sshd', { recursive: true })
  mkdirSync(file('layers'))
  const script = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs '${file('layers')}'
mkdir '${file('layers')}/upper' '${file('layers')}/work'
cp -a '${file('etc')}/.' '${file('layers')}/upper/'
mount -t overlay overlay -o 'lowerdir=/etc,upperdir=${file('layers')}/upper,workdir=${file('layers')}/work' /etc
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/piimage
cp '${file('lib/status')}' /var/lib/piimage/status
ip link set lo up
ip addr add 10.3.50.1/24 dev lo
'${sshd}' -f '${file('sshd.conf')}' -E '${file('sshd.log')}'
tries=0; until ss -Hltn | grep -q 10.3.50.1:22; do tries=$((tries + 1)); [ $tries -lt 200 ]; sleep 0.1; done
exec "$@"`
  const piimage = (...args: string[]): Ran => {
    const command = [
      process.execPath,
      join(packageRoot(), 'build/src/cli.js'),
      ...args,
      '--identity',
      file('id'),
    ]
    const ran = spawnSync(
      'unshare',
      ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh', ...command],
      { cwd: folder, encoding: 'utf8', env: { PATH: process.env.PATH ?? '', HOME: folder, LC_ALL: 'C' } },
    )
    return { status: ran.status ?? 1, stdout: ran.stdout, stderr: ran.stderr }
  }
  return { file, piimage, folder }
}

for (const kind of ['kubeadm', 'k3s'] as const)
  test(`${kind}: the head's kubeconfig, named after the cluster, for nobody else to read`, (t) => {
    const head = openHead(t, { kind })
    if (head === undefined) return
    const said = head.piimage('export', 'kubeconfig', '-o', 'kubeconfig')
    assert.equal(said.status, 0, said.stderr + said.stdout)
    assert.equal(statSync(head.file('kubeconfig')).mode & 0o777, 0o600)
    const text = readFileSync(head.file('kubeconfig'), 'utf8')
    assert.match(text, /^# kubeconfig of the cluster magi, written by piimage export kubeconfig\./)
    assert.deepEqual(parse(text), {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'magi', cluster: { 'certificate-authority-data': 'Y2E=', server: 'https://10.3.50.1:6443' } },
      ],
      users: [
        {
          name: 'magi-admin',
          user: { 'client-certificate-data': 'Y2VydA==', 'client-key-data': CLIENT_KEY },
        },
      ],
      contexts: [{ name: 'magi', context: { cluster: 'magi', user: 'magi-admin' } }],
      'current-context': 'magi',
    })
    assert.match(said.stderr, /KUBECONFIG=~\/\.kube\/config:/)
    assert.match(said.stderr, /ssh -L 6443:10\.3\.50\.1:6443 caspar/)
    assert.ok(!`${said.stdout}${said.stderr}`.includes(CLIENT_KEY))
  })

test('through a tunnel: the server is elsewhere, its certificate the same', (t) => {
  const head = openHead(t, { kind: 'kubeadm' })
  if (head === undefined) return
  const said = head.piimage('export', 'kubeconfig', '--server', '127.0.0.1', '--node', 'caspar')
  assert.equal(said.status, 0, said.stderr)
  const { clusters } = parse(said.stdout) as { clusters: { cluster: Record<string, string> }[] }
  assert.deepEqual(clusters[0]?.cluster, {
    'certificate-authority-data': 'Y2E=',
    server: 'https://127.0.0.1:6443',
    'tls-server-name': '10.3.50.1',
  })
})

const refusals: { name: string; head: Head; status: number; says: RegExp }[] = [
  {
    name: 'a head that is not done',
    head: { kind: 'kubeadm', status: waiting },
    status: 2,
    says: /the head caspar is not done with its first boot: 50-kubeadm waiting: no address yet/,
  },
  {
    name: 'a head that has not begun',
    head: { kind: 'k3s', status: '' },
    status: 2,
    says: /it has not begun/,
  },
  {
    name: 'a sudo that asks',
    head: { kind: 'k3s', sudo: '#!/bin/sh\necho "sudo: a password is required" >&2\nexit 1\n' },
    status: 2,
    says: /does not give \/etc\/rancher\/k3s\/k3s\.yaml: sudo: a password is required/,
  },
  {
    name: 'a file that is no kubeconfig',
    head: { kind: 'k3s', text: 'apiVersion: v1\n' },
    status: 4,
    says: /k3s\.yaml on caspar is not a kubeconfig/,
  },
  {
    name: "another machine at the head's address",
    head: { kind: 'k3s', shown: 'melchior' },
    status: 2,
    says: /the head caspar was not reached: Host key verification failed/,
  },
]
for (const { name, head, status, says } of refusals)
  test(`refused: ${name}`, (t) => {
    const opened = openHead(t, head)
    if (opened === undefined) return
    const said = opened.piimage('export', 'kubeconfig', '-o', 'kubeconfig')
    assert.equal(said.status, status, said.stderr)
    assert.match(said.stderr, says)
  })

test('refused before anybody is asked: no Kubernetes, another node, --json, your own file', async (t) => {
  const folder = tempFolder(t)
  const made = makeEd25519Key(Buffer.alloc(32, 7), 'me@laptop')
  writeFileSync(join(folder, 'id.pub'), `${made.publicLine}\n`)
  writeFileSync(join(folder, 'cluster.key'), formatClusterKey(testKey), { mode: 0o600 })
  const ask = async (kind: string, ...args: string[]) => {
    writeFileSync(join(folder, 'cluster.yaml'), clusterFile(kind, overlays[kind] ?? ''))
    const said = await runPiimage(folder, ['export', 'kubeconfig', ...args])
    assert.equal(said.status, 2, said.stderr)
    return said.stderr + said.stdout
  }
  assert.match(await ask('swarm'), /join\.kind is swarm, and only kubeadm and k3s have a kubeconfig/)
  assert.match(
    await ask('k3s', '--node', 'melchior'),
    /melchior is not the head; the kubeconfig is on caspar/,
  )
  assert.match(await ask('k3s', '--json'), /--json holds no secrets/)
  assert.match(
    await ask('k3s', '-o', '~/.kube/config', '--yes'),
    /your own kubeconfig and is never written to/,
  )
  assert.match(await ask('k3s', '--server', 'a b'), /--server a b is not a host name or an address/)
})
