/** The swarm's broker behind a real sshd: a join key gives its node's token, and nothing else of the head. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { joinKey } from '../../src/features/swarm/artifacts.ts'
import { packageRoot } from '../../src/package-root.ts'
import { ClusterKey } from '../../src/secrets/cluster-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { lay, readRoot, stub } from '../firstboot/fake-pi.ts'
import { readyPi, runStep } from '../firstboot/step.ts'
import { held } from '../support/attack.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, type Ran, run } from '../support/tools.ts'

const TOKEN = `SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)}`
const HEAD = '192.168.2.10'
const WORKER = '192.168.2.11'
const STRANGER = '192.168.2.77'
const key = new ClusterKey(Buffer.alloc(32, 42))

/** Everything that an image's sshd may have been opened to. */
const LAX = `HostKey FOLDER/host-key
PidFile none
UsePAM no
AuthorizedKeysFile .ssh/authorized_keys
AcceptEnv *
PermitUserEnvironment yes
AllowAgentForwarding yes
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
GatewayPorts yes
PermitTunnel yes
X11Forwarding yes
Subsystem sftp internal-sftp
`

/** A namespace's root: this machine's, with an account, sudo and Docker of the head in it. */
const BOOT = `set -eu
folder=$1
mount --make-rprivate /
for name in passwd shadow; do mount --bind "$folder/$name" /etc/$name; done
for name in bin sbin; do mount --bind "$folder/$name" /usr/local/$name; done
mount --bind "$folder/opt" /opt
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir -m 755 /run/sshd /var/lib/piimage-join /var/lib/piimage-join/.ssh
mkdir -m 777 /var/lib/piimage
cp "$folder/authorized_keys" /var/lib/piimage-join/.ssh/
chmod 644 /var/lib/piimage-join/.ssh/authorized_keys
ip link set lo up
for address in ${HEAD} ${WORKER} ${STRANGER}; do ip addr add $address/24 dev lo; done
exec /usr/sbin/sshd -D -e -f "$folder/sshd_config"
`

interface Broker {
  folder: string
  /** ssh as the worker that has this node's key. */
  ssh(node: string, options?: readonly string[], ...words: string[]): Ran
  /** Any program on the head's network. */
  inside(...command: string[]): Ran
  pid: number
  /** The nodes that `docker node ls` shows. */
  list(text: string): void
}

/** The settings that the step gives sshd while the broker is open; undefined after a skip. */
function limitsOf(t: TestContext): string | undefined {
  const pi = readyPi(t)
  if (pi === undefined) return undefined
  lay(pi.root, {
    'opt/piimage/material/join-authorized-keys': 'x\n',
    'etc/ssh/sshd_config.d/README': '',
    'etc/passwd': 'piimage-join:x:999:\n',
  })
  stub(pi, 'docker', 'case "$*" in *LocalNodeState*) echo active ;; *ControlAvailable*) echo true ;; esac')
  const environment = { PIIMAGE_ROLE: 'head', PIIMAGE_SWARM_HEAD_ADDRESS: HEAD }
  const ended = runStep(pi, 'swarm', { ...environment, PIIMAGE_SWARM_ADDRESS_POOL: '172.31.0.0/16' })
  assert.equal(ended.status, 0, ended.output)
  return readRoot(pi, 'etc/ssh/sshd_config.d/20-piimage-join.conf')
}

async function openBroker(t: TestContext): Promise<Broker | undefined> {
  if (!needRoot(t) || needTool(t, 'sshd', 'openssh-server') === undefined) return undefined
  if (needTool(t, 'ip', 'iproute2') === undefined) return undefined
  const limits = limitsOf(t)
  if (limits === undefined) return undefined
  let stop = () => {}
  const folder = tempFolder(t, () => stop())
  chmodSync(folder, 0o755)
  const file = (name: string, text: string, mode = 0o644) => {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), mode)
  }
  for (const name of ['bin', 'sbin', 'opt/piimage/material'])
    mkdirSync(join(folder, name), { recursive: true })
  file(
    'passwd',
    `${readFileSync('/etc/passwd', 'utf8')}piimage-join:x:64999:64999::/var/lib/piimage-join:/bin/sh\n`,
  )
  file('shadow', `${readFileSync('/etc/shadow', 'utf8')}piimage-join:*:19000::::::\n`, 0o600)
  // As the sudoers line lets it: this one program, without a password.
  file(
    'bin/sudo',
    '#!/bin/sh\n[ "$1 $2" = "-n /usr/local/sbin/piimage-join-token" ] || exit 1\nshift\nexec "$@"\n',
    0o755,
  )
  file('bin/logger', '#!/bin/sh\n', 0o755)
  file(
    'bin/docker',
    `#!/bin/sh
case "$*" in
  info*) echo active/true ;;
  'node ls'*) cat ${folder}/nodes ;;
  'swarm join-token -q worker') echo ${TOKEN} ;;
esac
`,
    0o755,
  )
  file('nodes', 'h hammond Ready\n')
  copyFileSync(join(packageRoot(), 'overlays/swarm/join-token.sh'), join(folder, 'sbin/piimage-join-token'))
  chmodSync(join(folder, 'sbin/piimage-join-token'), 0o755)
  file('opt/piimage/material/swarm-nodes', 'hammond manager\noneil worker\ncarter manager\n')
  file('authorized_keys', authorizedKeys())
  file('host-key', sshHostKey(key, 'hammond').privateKey.reveal(), 0o600)
  file('sshd_config', limits + LAX.replaceAll('FOLDER', folder))
  for (const node of ['oneil', 'carter', 'stranger'])
    file(`${node}.key`, joinKey(nodeKeys(key), node).privateKey.reveal(), 0o600)
  file('known_hosts', `${HEAD} ${sshHostKey(key, 'hammond').publicLine}\n`)
  file('boot.sh', BOOT)
  const child = spawn(
    'unshare',
    ['--mount', '--net', '--pid', '--fork', '--kill-child', 'sh', join(folder, 'boot.sh'), folder],
    {
      stdio: 'ignore',
    },
  )
  stop = () => void child.kill('SIGKILL')
  const children = `/proc/${child.pid}/task/${child.pid}/children`
  let pid = Number.NaN
  for (let tries = 0; tries < 200 && Number.isNaN(pid); tries += 1) {
    if (existsSync(children)) pid = Number.parseInt(readFileSync(children, 'utf8'), 10)
    await sleep(20)
  }
  const inside = (...command: string[]) => run('nsenter', ['-t', String(pid), '-m', '-n', ...command])
  const ssh = (node: string, options: readonly string[] = [], ...words: string[]) =>
    inside(
      ...['timeout', '20', 'ssh', '-F', '/dev/null', '-i', join(folder, `${node}.key`), '-b', WORKER],
      ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes'],
      ...[
        '-o',
        `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
        ...options,
        `piimage-join@${HEAD}`,
        ...words,
      ],
    )
  for (let tries = 0; tries < 100 && ssh('oneil').status === 255; tries += 1) await sleep(100)
  return { folder, ssh, inside, pid, list: (text) => file('nodes', text) }
}

const authorizedKeys = (): string =>
  ['oneil', 'carter']
    .map((node) => {
      const { publicLine } = joinKey(nodeKeys(key), node)
      const command = `sudo -n /usr/local/sbin/piimage-join-token ${node} \\"$SSH_ORIGINAL_COMMAND\\"`
      return `restrict,from="192.168.2.0/24",command="${command}" ${publicLine}\n`
    })
    .join('')

test('other commands, forwarding, environment, terminals: the token and no more', async (t) => {
  const broker = await openBroker(t)
  if (broker === undefined) return
  const { ssh, inside } = broker
  assert.equal(ssh('oneil').stdout, `${TOKEN}\n`)
  let tried = 0
  // Whatever is asked, the answer is the token of the key's own node, or a refusal.
  for (const words of [
    'id',
    'bash -c id',
    '$(id >/var/lib/piimage/was-here)',
    '`id >/var/lib/piimage/was-here`',
    '"; id >/var/lib/piimage/was-here; "',
    "' ; id >/var/lib/piimage/was-here ; '",
    '\nid >/var/lib/piimage/was-here\n',
    'carter',
    'joined',
    'x'.repeat(100_000),
  ]) {
    const said = ssh('oneil', [], words)
    assert.ok(said.stdout === `${TOKEN}\n` || said.stdout === '', words.slice(0, 50))
    tried += 1
  }
  for (const [options, ...words] of [
    [['-tt']],
    [['-A']],
    [['-X']],
    [['-Y']],
    [
      [
        '-o',
        'SetEnv=PATH=/tmp BASH_ENV=/tmp/x ENV=/tmp/x LD_PRELOAD=/tmp/x.so DOCKER_HOST=tcp://192.168.2.77',
      ],
    ],
    [['-s'], 'sftp'],
    [['-s'], 'shell'],
  ] as [string[], ...string[]][]) {
    const said = ssh('oneil', options, ...words)
    assert.ok(said.stdout === `${TOKEN}\n` || said.stdout === '', `${options} ${words}: ${said.stdout}`)
    tried += 1
  }
  for (const option of [
    ['-W', `${HEAD}:22`],
    ['-W', '127.0.0.1:22'],
    ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '8022:127.0.0.1:22'],
    ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', '/var/lib/piimage/socket:127.0.0.1:22'],
    ['-N', '-o', 'ExitOnForwardFailure=yes', '-w', 'any'],
  ]) {
    const said = ssh('oneil', option)
    assert.notEqual(said.status, 0, option.join(' '))
    assert.doesNotMatch(said.stdout, /SSH-2\.0/, option.join(' '))
    tried += 1
  }
  // A key that is nobody's, and one from another network.
  assert.match(ssh('stranger').stderr, /Permission denied/)
  assert.match(ssh('oneil', ['-b', '127.0.0.1']).stderr, /Permission denied/)
  assert.notEqual(inside('test', '-e', '/var/lib/piimage/was-here').status, 0)
  held(t, tried + 2)
})

test('a key is its own node’s: names, IDs and second uses', async (t) => {
  const broker = await openBroker(t)
  if (broker === undefined) return
  const { ssh, list } = broker
  list('h hammond Ready\no1 oneil Ready\nc1 carter Ready\n')
  const refused: [string, string, number][] = [
    ['oneil', 'joined c1', 76],
    ['oneil', 'joined h', 76],
    ['oneil', 'joined ../c1', 76],
    ['oneil', 'joined .*', 76],
    ['oneil', 'joined o1 c1', 76],
    ['oneil', 'joined ', 76],
    ['oneil', 'joined nobody', 75],
  ]
  for (const [node, words, status] of refused) assert.equal(ssh(node, [], words).status, status, words)
  // Two at once: both may have it, until one of them is in.
  assert.equal(ssh('oneil').status, 0)
  assert.equal(ssh('oneil').status, 0)
  assert.equal(ssh('oneil', [], 'joined o1').status, 0)
  assert.equal(ssh('oneil').status, 78)
  list('h hammond Ready\no1 oneil Ready\no2 oneil Ready\n')
  assert.equal(ssh('oneil', [], 'joined o2').status, 78)
  // It is closed when all are in.
  broker.inside('touch', '/var/lib/piimage/swarm-closed')
  assert.equal(ssh('carter').status, 78)
  assert.equal(ssh('carter', [], 'joined c1').status, 78)
  held(t, refused.length + 4)
})

/** Opens connections and says nothing; each that sshd ends is opened again. */
const FLOOD = `
const net = require('node:net')
const [from, to] = process.argv.slice(1)
const hold = () => net.connect({ host: to, port: 22, localAddress: from })
  .on('error', () => {}).on('close', () => setTimeout(hold, 200)).resume()
for (let i = 0; i < 150; i++) hold()
setTimeout(() => console.log('held'), 1000)
`

test('150 connections that are held without logging in keep no worker out', async (t) => {
  const broker = await openBroker(t)
  if (broker === undefined) return
  const flood = spawn(
    'nsenter',
    ['-t', String(broker.pid), '-n', process.execPath, '-e', FLOOD, STRANGER, HEAD],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  t.after(() => flood.kill('SIGKILL'))
  await new Promise((resolve) => flood.stdout.once('data', resolve))
  for (let turn = 0; turn < 10; turn += 1) assert.equal(broker.ssh('carter').stdout, `${TOKEN}\n`, `${turn}`)
  held(t, 10)
})
