/**
 * The steps that form a swarm, against a stand-in for Docker and ssh whose state
 * is a file: every state a node can be in, and every answer a head can give.
 * test/swarm/ has the real ones.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
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
import { note, runStep, stepPi } from './step.ts'

const token = `SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)}`
const worker = {
  PIIMAGE_ROLE: 'worker',
  PIIMAGE_SWARM_HEAD_ADDRESS: '172.19.181.254',
  PIIMAGE_SWARM_ADDRESS: '172.19.181.1',
  PIIMAGE_SWARM_INTERFACE: 'eth0',
  PIIMAGE_SWARM_ADDRESS_POOL: '172.31.0.0/16',
  PIIMAGE_SWARM_PATIENCE: '20',
  PIIMAGE_SWARM_HEARTBEATS: '0',
}
const head = { ...worker, PIIMAGE_ROLE: 'head', PIIMAGE_NODE: 'hammond' }

interface World {
  /** State of this node's Docker; the last one stays. */
  states: string[]
  /** What ssh to the head ends with and says. */
  answer?: { status: number; stdout?: string; stderr?: string }
  /** Addresses this node has. */
  addresses?: string[]
  shell?: ShellName
}

function swarmPi(t: TestContext, world: World): FakePi | undefined {
  const { status, stdout = '', stderr = '' } = world.answer ?? { status: 0, stdout: token }
  const made = stepPi(t, 'swarm', {
    shell: world.shell ?? 'dash',
    files: {
      'etc/piimage/secrets/join-key': 'JOIN-PRIVATE-KEY\n',
      'opt/piimage/material/join-known-hosts': '172.19.181.254 ssh-ed25519 AAAA\n',
    },
    programs: {
      ssh: `echo '${stdout}'; echo '${stderr}' >&2; exit ${status}`,
      ip: (world.addresses ?? ['172.19.181.1', '172.19.181.254'])
        .map((ip) => `echo "2: eth0 inet ${ip}/24 brd"`)
        .join('\n'),
    },
    env: {},
  })
  if (made === undefined) return undefined
  const { pi } = made
  lay(pi.folder, { states: `${world.states.join('\n')}\n` })
  stub(
    pi,
    'docker',
    `${note(pi)}
next() { head -n 1 '${pi.folder}/states'; [ $(wc -l <'${pi.folder}/states') -eq 1 ] || sed -i 1d '${pi.folder}/states'; }
case "$*" in
  *LocalNodeState*) next ;;
  *NodeID*) echo thisnode ;;
  *ControlAvailable*) echo true ;;
  'swarm init --help') echo --default-addr-pool ;;
  'swarm init '*) echo active >'${pi.folder}/states' ;;
  'swarm leave '*) echo inactive >'${pi.folder}/states' ;;
esac`,
  )
  // Docker's socket, with the token on standard input.
  stub(pi, 'perl', `${note(pi)}; cat >'${pi.folder}/token'; echo active >'${pi.folder}/states'`)
  return pi
}

const did = (pi: FakePi, what: string): boolean => calls(pi).some((call) => call.startsWith(what))

for (const shell of shells)
  test(`a worker under ${shell}: asks, joins, and forgets its key; again it does nothing`, (t) => {
    const pi = swarmPi(t, { states: ['inactive'], shell })
    if (pi === undefined) return
    const ended = runStep(pi, 'swarm', worker)
    assert.equal(ended.status, 0, ended.output)
    assert.ok(
      calls(pi).some((call) =>
        /^ {2}.* \/run\/docker\.sock 172\.19\.181\.1 172\.19\.181\.254:2377$/.test(call),
      ),
    )
    assert.equal(readFileSync(join(pi.folder, 'token'), 'utf8'), `${token}\n`)
    assert.ok(!calls(pi).join('\n').includes(token), 'in no argument')
    assert.match(
      calls(pi).find((call) => call.startsWith('ssh ')) ?? '',
      /-o StrictHostKeyChecking=yes .*piimage-join@172\.19\.181\.254$/,
    )
    assert.ok(!ended.output.includes('SWMTKN'))
    assert.ok(!existsSync(join(pi.root, 'etc/piimage/secrets/join-key')))
    const before = snapshot(pi.root)
    const asked = calls(pi).length
    assert.equal(runStep(pi, 'swarm', worker).status, 0)
    assert.deepEqual(snapshot(pi.root), before)
    assert.ok(
      !calls(pi)
        .slice(asked)
        .some((call) => /^(ssh|perl)/.test(call)),
    )
  })

/** From any state a worker gets in, or says what it waits for. */
const ways: { name: string; world: World; status: number; does?: string; doesNot?: string; says?: RegExp }[] =
  [
    { name: 'active', world: { states: ['active'] }, status: 0, does: 'ssh', doesNot: 'perl' },
    {
      name: 'a head that takes it for another',
      world: { states: ['active'], answer: { status: 76 } },
      status: 75,
      says: /takes this node for another/,
    },
    {
      name: 'pending, then active',
      world: { states: ['pending', 'pending', 'active'] },
      status: 0,
      doesNot: 'docker swarm leave',
    },
    { name: 'error', world: { states: ['error'] }, status: 0, does: 'docker swarm leave --force' },
    {
      name: 'locked',
      world: { states: ['locked'] },
      status: 75,
      doesNot: 'ssh',
      says: /docker swarm unlock/,
    },
    { name: 'no daemon', world: { states: [''] }, status: 75 },
    {
      name: 'a head that is off',
      world: { states: ['inactive'], answer: { status: 255, stderr: 'ssh: connect: No route to host' } },
      status: 75,
      says: /the head at 172\.19\.181\.254 does not answer yet/,
    },
    {
      name: 'another host key',
      world: { states: ['inactive'], answer: { status: 255, stderr: 'Host key verification failed.' } },
      status: 75,
      says: /another host key than the head's: not trusted/,
    },
    {
      name: 'a head without a swarm',
      world: { states: ['inactive'], answer: { status: 75 } },
      status: 75,
      says: /has no swarm so far/,
    },
    {
      name: 'a name that is taken',
      world: { states: ['inactive'], answer: { status: 78 } },
      status: 75,
      says: /piimage join --node oneil/,
    },
    {
      name: 'an answer that is no token',
      world: { states: ['inactive'], answer: { status: 0, stdout: 'Welcome to hammond' } },
      status: 75,
      doesNot: 'perl',
      says: /something that is no token/,
    },
    {
      name: 'an address that is not there',
      world: { states: ['inactive'], addresses: ['172.19.181.11'] },
      status: 75,
      doesNot: 'perl',
      says: /address 172\.19\.181\.1 is not there yet/,
    },
  ]
for (const { name, world, status, does, doesNot, says } of ways)
  test(`a worker meets ${name}`, (t) => {
    const pi = swarmPi(t, world)
    if (pi === undefined) return
    const ended = runStep(pi, 'swarm', worker)
    assert.equal(ended.status, status, ended.output)
    if (says !== undefined) assert.match(readRoot(pi, 'run/piimage/reason'), says)
    if (does !== undefined) assert.ok(did(pi, does), calls(pi).join('\n'))
    if (doesNot !== undefined) assert.ok(!did(pi, doesNot), calls(pi).join('\n'))
    assert.equal(
      existsSync(join(pi.root, 'etc/piimage/secrets/join-key')),
      status !== 0,
      'the key is kept until the node is in',
    )
  })

test('a head makes the swarm and opens its broker; again the same', (t) => {
  const pi = swarmPi(t, { states: ['inactive'] })
  if (pi === undefined) return
  lay(pi.root, {
    'opt/piimage/material/join-authorized-keys': 'restrict ssh-ed25519 AAAA piimage-join:oneil\n',
    'etc/ssh/sshd_config.d/README': '',
  })
  stub(pi, 'useradd', `${note(pi)}; echo 'piimage-join:x:999:' >>'${pi.root}/etc/passwd'`)
  for (let turn = 0; turn < 2; turn++) {
    const before: Record<string, string> | undefined = turn === 0 ? undefined : snapshot(pi.root)
    const ended = runStep(pi, 'swarm', head)
    assert.equal(ended.status, 0, ended.output)
    if (before !== undefined) assert.deepEqual(snapshot(pi.root), before)
  }
  const made = calls(pi).filter((call) => call.startsWith('docker swarm init --advertise'))
  assert.deepEqual(made, [
    'docker swarm init --advertise-addr 172.19.181.254 --default-addr-pool 172.31.0.0/16 --default-addr-pool-mask-length 24',
  ])
  assert.equal(modeOf(pi, 'var/lib/piimage-join/.ssh/authorized_keys'), '644')
  assert.equal(calls(pi).filter((call) => call.startsWith('useradd')).length, 1)
  assert.match(readRoot(pi, 'etc/ssh/sshd_config.d/20-piimage-join.conf'), /^LoginGraceTime 20\nMaxStartups /)
})

test('a head in another state than it should be leaves it to a person', (t) => {
  for (const [state, says] of [
    ['locked', /docker swarm unlock/],
    ['error', /journalctl -u docker/],
  ] as const) {
    const pi = swarmPi(t, { states: [state] })
    if (pi === undefined) return
    assert.notEqual(runStep(pi, 'swarm', head).status, 0)
    assert.match(readRoot(pi, 'run/piimage/reason'), says)
    assert.ok(!did(pi, 'docker swarm leave') && !did(pi, 'docker swarm init --adv'))
  }
})

/** A head's view of its nodes, by `docker node ls` and `inspect`. */
function gatherPi(t: TestContext, listed: string[], shell: ShellName): FakePi | undefined {
  const pi = swarmPi(t, { states: ['active'], shell })
  if (pi === undefined) return undefined
  lay(pi.root, {
    'opt/piimage/material/swarm-nodes':
      'hammond manager arch=armv7\noneil worker room=attic\ncarter manager arch=armv6\n',
    'var/lib/piimage-join/.ssh/authorized_keys': 'x\n',
    'etc/sudoers.d/90-piimage-join': 'x\n',
    'etc/ssh/sshd_config.d/20-piimage-join.conf': 'x\n',
    'usr/local/sbin/piimage-join-token': 'x\n',
    'etc/passwd': 'piimage-join:x:999:\n',
    'opt/piimage/material/join-authorized-keys': 'x\n',
    'var/lib/piimage/swarm-members/oneil': 'o\n',
    'var/lib/piimage/swarm-members/carter': 'c\n',
  })
  lay(pi.folder, { nodes: `${listed.join('\n')}\n` })
  stub(pi, 'userdel', `${note(pi)}; : >'${pi.root}/etc/passwd'`)
  stub(
    pi,
    'docker',
    `${note(pi)}
case "$*" in
  'node ls '*) cat '${pi.folder}/nodes' ;;
  'node demote '*) : >'${pi.folder}/demoted' ;;
  # The dead one was a manager: Docker removes only workers.
  'node rm '*) [ -e '${pi.folder}/demoted' ] || exit 1 ;;
  *NodeID*) echo h ;;
  *Platform*) echo aarch64 ;;
  *Spec.Role*) case $5 in h) echo manager ;; *) echo worker ;; esac ;;
  *Spec.Labels*) case $5 in h) echo arch=armv7 ;; esac ;;
esac`,
  )
  return pi
}

for (const shell of shells)
  test(`gather under ${shell}: labels, roles, twins; then the broker goes and the token changes`, (t) => {
    const all = ['h hammond Ready', 'o oneil Ready', 'x oneil Down', 'c carter Ready']
    const pi = gatherPi(
      t,
      all.filter((line) => !line.includes('carter')),
      shell,
    )
    if (pi === undefined) return
    const waiting = runStep(pi, 'swarm-gather', { ...head, PIIMAGE_SWARM_PAUSE: '10' })
    assert.equal(waiting.status, 75, waiting.output)
    assert.match(readRoot(pi, 'run/piimage/reason'), /not in the swarm yet: carter/)
    assert.ok(existsSync(join(pi.root, 'var/lib/piimage-join')), 'the broker stays while somebody is missing')
    assert.ok(!did(pi, 'docker swarm join-token'))

    // A thief of oneil's card calls itself carter, before carter is there: no label, no role, and not closed.
    const thief = all.map((line) => (line === 'c carter Ready' ? 't carter Ready' : line))
    lay(pi.folder, { nodes: `${thief.join('\n')}\n` })
    const robbed = runStep(pi, 'swarm-gather', { ...head, PIIMAGE_SWARM_PAUSE: '10' })
    assert.equal(robbed.status, 75)
    assert.match(robbed.output, /t calls itself carter and did not come with its key/)
    assert.match(readRoot(pi, 'run/piimage/reason'), /not in the swarm yet: carter/)
    assert.ok(
      !did(pi, 'docker swarm join-token') &&
        !calls(pi).some((call) => / (t|.* t)$/.test(call) && /update|promote/.test(call)),
    )

    lay(pi.folder, { nodes: `${all.join('\n')}\n` })
    const ended = runStep(pi, 'swarm-gather', head)
    assert.equal(ended.status, 0, ended.output)
    const changes = calls(pi).filter((call) => /^docker (node (update|promote|demote|rm)|swarm)/.test(call))
    assert.deepEqual(
      [...new Set(changes)],
      [
        'docker node update --label-add room=attic o',
        'docker node update --label-add arch=arm64 o',
        'docker node demote x',
        'docker node rm --force x',
        'docker node update --label-add arch=armv6 c',
        'docker node promote c',
        'docker swarm join-token --rotate -q worker',
      ],
    )
    for (const path of [
      'var/lib/piimage-join',
      'etc/sudoers.d/90-piimage-join',
      'etc/ssh/sshd_config.d/20-piimage-join.conf',
      'usr/local/sbin/piimage-join-token',
    ])
      assert.ok(!existsSync(join(pi.root, path)), path)
    const before = snapshot(pi.root)
    assert.equal(runStep(pi, 'swarm-gather', head).status, 0)
    assert.deepEqual(snapshot(pi.root), before)
  })

for (const shell of shells)
  test(`a broker under ${shell} closes when its time is over, and says without whom`, (t) => {
    const pi = gatherPi(t, ['h hammond Ready', 'o oneil Ready'], shell)
    if (pi === undefined) return
    const ended = runStep(pi, 'swarm-gather', { ...head, PIIMAGE_SWARM_OPEN_FOR: '2' })
    assert.equal(ended.status, 0, ended.output)
    assert.match(ended.output, /closed without: carter \(piimage join --node NAME brings one in\)/)
    assert.ok(!existsSync(join(pi.root, 'etc/sudoers.d/90-piimage-join')))
    assert.ok(did(pi, 'docker swarm join-token --rotate'))
  })
