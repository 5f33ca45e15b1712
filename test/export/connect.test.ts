/**
 * A Zero behind its head, for real: two sshd with derived host keys in a network
 * of their own, reached by ssh and by Ansible with nothing but what was exported.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatAnsibleInventory } from '../../src/export/ansible.ts'
import { formatKnownHosts } from '../../src/export/known-hosts.ts'
import { formatSshConfig } from '../../src/export/ssh-config.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { parseRight, readStory } from '../cluster/support.ts'
import { testKey } from '../secrets/support.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, type Ran, run } from '../support/tools.ts'
import { publicLineOf } from './support.ts'

const hosts = { hammond: '192.168.42.10', oneil: '172.19.181.1' }
/** An account that is made where the sshd run, without a shell: being told so proves that the log-in worked. */
const LOGIN = 'pilot'
const ACCOUNT = `${LOGIN}:x:64000:64000::/nonexistent:/usr/sbin/nologin\n`
const LOGGED_IN = /This account is currently not available/

interface Lab {
  file(name: string): string
  /** Run a command where both sshd run. */
  run(...command: string[]): Ran
}

/** @param shown whose host key oneil's sshd has */
async function openLab(t: TestContext, shown = 'oneil'): Promise<Lab | undefined> {
  const sshd = needTool(t, 'sshd', 'openssh-server')
  const tools = [sshd, needTool(t, 'ip', 'iproute2'), needTool(t, 'unshare', 'util-linux')]
  if (!needRoot(t) || sshd === undefined || tools.includes(undefined)) return undefined
  const folder = tempFolder(t)
  // sshd reads authorized_keys as the user who logs in.
  chmodSync(folder, 0o755)
  mkdirSync('/run/sshd', { recursive: true })
  const file = (name: string) => join(folder, name)
  const person = makeEd25519Key(Buffer.alloc(32, 7), 'me@laptop')
  writeFileSync(file('id'), person.privateKey.reveal(), { mode: 0o600 })
  writeFileSync(file('authorized_keys'), `${person.publicLine}\n`)

  const story = readStory('chappa-ai').replace('name: pi,', `name: ${LOGIN},`)
  const cluster = await parseRight(story)
  const knownHosts = file('known_hosts')
  writeFileSync(knownHosts, formatKnownHosts(cluster, publicLineOf))
  writeFileSync(file('passwd'), readFileSync('/etc/passwd', 'utf8') + ACCOUNT)
  const options = { knownHosts, identityFile: () => file('id') }
  writeFileSync(file('ssh_config'), formatSshConfig(cluster, options))
  writeFileSync(file('inventory.yaml'), formatAnsibleInventory(cluster, options))

  const start = Object.entries(hosts).flatMap(([name, address]) => {
    writeFileSync(
      file(`${name}.key`),
      sshHostKey(testKey, name === 'oneil' ? shown : name).privateKey.reveal(),
      { mode: 0o600 },
    )
    writeFileSync(
      file(`${name}.conf`),
      [
        `ListenAddress ${address}`,
        `HostKey ${file(`${name}.key`)}`,
        `AuthorizedKeysFile ${file('authorized_keys')}`,
        'PidFile none',
        'StrictModes no',
        'UsePAM no',
        'PasswordAuthentication no',
        '',
      ].join('\n'),
    )
    return [
      `ip addr add ${address}/24 dev lo`,
      `${sshd} -f ${file(`${name}.conf`)} -E ${file(`${name}.log`)}`,
    ]
  })
  // sshd goes into the background before it listens.
  const wait = `tries=0; until [ "$(ss -Hltn | wc -l)" -ge ${Object.keys(hosts).length} ]; do
  tries=$((tries + 1)); [ $tries -lt 200 ]; sleep 0.1; done`
  const passwd = `mount --bind ${file('passwd')} /etc/passwd`
  const script = ['set -e', passwd, 'ip link set lo up', ...start, wait, '"$@"'].join('\n')
  return {
    file,
    // A namespace for processes too: nothing outlives the command.
    run: (...command) =>
      run(
        'unshare',
        ['--mount', '--net', '--pid', '--fork', '--kill-child', 'sh', '-c', script, 'sh', ...command],
        {
          cwd: folder,
          env: { HOME: folder, LC_ALL: 'C.UTF-8', SSH_AUTH_SOCK: '' },
        },
      ),
  }
}

test('ssh -F: into the Zero, through the head', async (t) => {
  const lab = await openLab(t)
  if (lab === undefined) return
  const { stdout, stderr } = lab.run(
    'ssh',
    '-v',
    '-o',
    'BatchMode=yes',
    '-F',
    lab.file('ssh_config'),
    'oneil',
    'true',
  )
  assert.match(stdout, LOGGED_IN, stderr)
  assert.match(stderr, /Authenticated to 192\.168\.42\.10 /)
  assert.match(stderr, /Authenticated to 172\.19\.181\.1 \(via proxy\)/)
})

test('ssh -F: another key than the derived one is refused, not asked about', async (t) => {
  const lab = await openLab(t, 'carter')
  if (lab === undefined) return
  const { stdout, stderr } = lab.run('ssh', '-F', lab.file('ssh_config'), 'oneil', 'true')
  assert.doesNotMatch(stdout, LOGGED_IN)
  assert.match(stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED[\s\S]*Host key for oneil has changed/)
})

test('ansible: into the Zero, through the head, with the inventory alone', async (t) => {
  const ansible = needTool(t, 'ansible', 'ansible-core')
  const lab = ansible === undefined ? undefined : await openLab(t)
  if (ansible === undefined || lab === undefined) return
  const { stdout, stderr } = lab.run(
    ansible,
    'oneil',
    '-i',
    lab.file('inventory.yaml'),
    '-m',
    'raw',
    '-a',
    'true',
  )
  assert.match(stdout, LOGGED_IN, stdout + stderr)
})
