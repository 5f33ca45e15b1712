/** `export` as it is typed: what it writes where, what it refuses, and that no secret leaves. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { DEMO_IMAGE, demoProject, type Project } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'
import { PASSPHRASE, PASSWORD, secretsOf } from './secrets-of.ts'

const publicLine = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop').publicLine
const formats = ['ssh-config', 'known-hosts', 'ansible', 'hosts', 'eeprom']

const header = `cluster: sgc
image: ${DEMO_IMAGE}
user: { name: ops, sshKeys: ['${publicLine}'], passwordFile: ops.password }
overlays: [ssh]
`
const behindRouter = `${header}network: { cidr: 10.3.50.0/24, gateway: 10.3.50.1, dns: [10.3.50.1], domain: cluster }
join: { kind: k3s, head: hammond }
nodes:
  hammond:
    model: pi4
    address: 10.3.50.1/24
    router: { uplink: wlan0, lan: eth0 }
    wifi: { ssid: attic, passphraseFile: attic.wifi, country: DE }
  oneil: { model: pi4, address: 10.3.50.11/24, boot: net, mac: "dc:a6:32:00:00:01" }
  carter: { model: pi5, address: 10.3.50.12/24, boot: net, mac: "dc:a6:32:00:00:02" }
`
const cards = `${header}nodes:
  hammond: { model: pi4, wifi: { ssid: attic, passphraseFile: attic.wifi, country: DE } }
  oneil: { model: pi4, address: 10.3.50.11/24 }
`

function project(t: TestContext, text = behindRouter): Project {
  const made = demoProject(t)
  writeFileSync(made.file('cluster.yaml'), text)
  writeFileSync(made.file('ops.password'), `${PASSWORD}\n`, { mode: 0o600 })
  writeFileSync(made.file('attic.wifi'), `${PASSPHRASE}\n`, { mode: 0o600 })
  return made
}

test('no secret in any export, in any voice', async (t) => {
  const made = project(t)
  const secrets = secretsOf(made)
  assert.ok(secrets.size > 50)
  const texts: string[] = []
  for (const format of formats) {
    const nodes = format === 'eeprom' ? ['--node', 'oneil'] : []
    for (const voice of [[], ['--json'], ['-o', `${format}.out`]]) {
      const said = await made.piimage('export', format, ...nodes, ...voice)
      assert.equal(said.status, 0, said.stderr)
      texts.push(said.stdout, said.stderr)
    }
    texts.push(readFileSync(made.file(`${format}.out`), 'utf8'))
  }
  const all = texts.join('\n')
  for (const [what, secret] of secrets) assert.ok(!all.includes(secret), what)
  assert.doesNotMatch(all, /PRIVATE KEY|\$6\$/)
})

test('no secret in what plan, flash, bake and inspect say', async (t) => {
  const made = project(t, cards)
  const secrets = secretsOf(made)
  const nodes = ['--node', 'hammond', '--node', 'oneil']
  const lines: string[][] = [
    ['plan', '--all'],
    ['flash', '--node', 'hammond=a.img', '--node', 'oneil=b.img'],
    ['bake', ...nodes, '-o', 'out'],
    ['inspect', 'a.img'],
    ['inspect', 'a.img', '--check'],
    ['images', 'list'],
  ]
  for (const line of lines)
    for (const voice of [[], ['--json', '--yes']]) {
      const said = await made.piimage(...line, ...voice)
      assert.equal(said.status, 0, said.stderr)
      for (const [what, secret] of secrets)
        assert.ok(!`${said.stdout}${said.stderr}`.includes(secret), `${what} in ${line.join(' ')}`)
    }
  // The test can tell: on the card itself, the host key stands.
  const card = readFileSync(made.file('a.img'), 'latin1')
  assert.ok([...secrets].some(([what, secret]) => what.startsWith('private key') && card.includes(secret)))
})

test('the files work together: ssh finds its way, and the keys', async (t) => {
  if (needTool(t, 'ssh', 'openssh-client') === undefined) return
  const made = project(t)
  mkdirSync(made.file('.ssh'))
  writeFileSync(made.file('.ssh/id_mine.pub'), `${publicLine.replace('me@laptop', 'another comment')}\n`)
  writeFileSync(made.file('.ssh/id_mine'), 'never read\n', { mode: 0o600 })
  writeFileSync(made.file('.ssh/id_other'), 'without its public half\n', { mode: 0o600 })
  const keys = await made.piimage('export', 'known-hosts', '-o', 'known_hosts')
  assert.equal(keys.status, 0, keys.stderr)
  const said = await made.piimage(
    'export',
    'ssh-config',
    '-o',
    '~/.ssh/config.d/sgc',
    '--address',
    'hammond=192.168.0.202',
  )
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, /\n {2}Include ~\/\.ssh\/config\.d\/sgc\n/)
  assert.doesNotMatch(said.stderr, /export known-hosts|by DHCP/)
  const config = readFileSync(made.file('.ssh/config.d/sgc'), 'utf8')
  assert.match(config, /^ {2}UserKnownHostsFile ~\/known_hosts$/m)
  assert.equal(config.match(/^ {2}IdentityFile ~\/\.ssh\/id_mine$/gm)?.length, 3)
  const resolved = run('ssh', ['-F', made.file('.ssh/config.d/sgc'), '-G', 'oneil']).stdout
  assert.match(resolved, /^hostname 10\.3\.50\.11$/m)
  assert.match(resolved, /^proxyjump hammond$/m)
  assert.match(
    run('ssh', ['-F', made.file('.ssh/config.d/sgc'), '-G', 'hammond']).stdout,
    /^hostname 192\.168\.0\.202$/m,
  )
})

test('what is not known yet is said', async (t) => {
  const said = await project(t).piimage('export', 'ssh-config')
  assert.match(said.stderr, /piimage export known-hosts -o /)
  assert.match(said.stderr, /hammond asks for its address by DHCP.*--address hammond=ADDRESS/)
  assert.match(said.stdout, /^ {2}HostName hammond\.local$/m)
  const json = await project(t).piimage('export', 'hosts', '--json')
  const result = json.events.at(-1) as { format: string; text: string }
  assert.equal(result.format, 'hosts')
  assert.match(result.text, /^10\.3\.50\.11 oneil\.cluster oneil$/m)
})

test('a file of somebody else is left alone; our own is made again', async (t) => {
  const made = project(t)
  const mine = 'Host mine\n'
  mkdirSync(made.file('.ssh'))
  for (const name of ['notes', '.ssh/config']) writeFileSync(made.file(name), mine)

  const foreign = await made.piimage('export', 'hosts', '-o', 'notes')
  assert.equal(foreign.status, 2)
  assert.match(foreign.stderr, /notes is there already, and piimage did not make it/)
  assert.equal(readFileSync(made.file('notes'), 'utf8'), mine)
  assert.equal((await made.piimage('export', 'hosts', '-o', 'notes', '--yes')).status, 0)
  assert.equal((await made.piimage('export', 'ansible', '-o', 'notes')).status, 0, 'it is ours now')
  assert.match(readFileSync(made.file('notes'), 'utf8'), /Ansible inventory/)

  const own = await made.piimage('export', 'ssh-config', '-o', '~/.ssh/config', '--yes')
  assert.equal(own.status, 2)
  assert.match(own.stderr, /never written to[\s\S]*Include/)
  assert.equal(readFileSync(made.file('.ssh/config'), 'utf8'), mine)
})

const refused: { name: string; args: string[]; says: RegExp }[] = [
  {
    name: 'two boot.conf in one file',
    args: ['eeprom', '-o', 'boot.conf'],
    says: /2 different boot\.conf.*\n.*--node: oneil \| carter/,
  },
  { name: 'a node that is not there', args: ['eeprom', '--node', 'tealc'], says: /no node "tealc"/ },
  {
    name: 'an address without a node',
    args: ['ssh-config', '--address', '192.168.1.7'],
    says: /is not NODE=ADDRESS/,
  },
  {
    name: 'an address of nobody',
    args: ['ssh-config', '--address', 'tealc=192.168.1.7'],
    says: /no node "tealc"/,
  },
  {
    name: 'an address that ends the line',
    args: ['ssh-config', '--address', 'oneil=a\nProxyCommand b'],
    says: /is not NODE=ADDRESS/,
  },
  {
    name: 'a path ssh can not be told',
    args: ['ssh-config', '--known-hosts', 'a"b'],
    says: /can't be named in an ssh configuration/,
  },
  { name: 'an unknown format', args: ['puppet'], says: /ssh-config.*known-hosts|puppet/s },
]
for (const { name, args, says } of refused)
  test(`refused: ${name}`, async (t) => {
    const made = project(t)
    const said = await made.piimage('export', ...args)
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, says)
    assert.equal(existsSync(join(made.folder, 'boot.conf')), false)
  })

test('one kind of board: its boot.conf goes into a file', async (t) => {
  const made = project(t)
  const said = await made.piimage('export', 'eeprom', '--node', 'carter', '-o', 'boot.conf')
  assert.equal(said.status, 0, said.stderr)
  assert.match(readFileSync(made.file('boot.conf'), 'utf8'), /\n\[all\]\n[\s\S]*\nBOOT_ORDER=0xf21\n/)
})
