/** A person's own cloud-config beside ours: judged by cloud-init's own code, and by the shell that it starts. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import { parseUserData } from '../../src/boot/cloud-init.ts'
import type { Node } from '../../src/cluster/node.ts'
import { readExtras } from '../../src/customise/extras.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { Secret } from '../../src/secret.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode, PASSWORD_HASH, use } from './cluster.ts'
import { stockFiles } from './stock.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

interface Asked {
  /** Parameters of the overlay `cloud-init`, for every node. */
  parameters?: Record<string, unknown>
  node?: Partial<Node>
  others?: Partial<Node>[]
  /** `--userdata` */
  given?: string
  folder?: string
  system?: string
}

async function userDataOf(asked: Asked): Promise<string> {
  const { parameters = {}, node = {}, others = [], given, folder = '/nonexistent', system = 'trixie' } = asked
  const overlayUses = ['hostname', 'user', 'ssh', 'cloud-init'].map((name) =>
    use(name, name === 'cloud-init' ? parameters : {}),
  )
  const make = (overrides: Partial<Node>) => makeNode({ overlays: overlayUses, ...overrides })
  const nodes = [make(node), ...others.map(make)]
  const [first = make({})] = nodes
  const { files } = await planBoot({
    cluster: makeCluster(nodes, { folder }),
    node: first,
    image: { key: 'k', version: 'v', arch: 'arm64' },
    boot: bootFilesOf(stockFiles(system)),
    overlays,
    keys,
    extras:
      given === undefined
        ? undefined
        : readExtras({ userData: { name: 'given', text: given }, files: new Map() }),
  })
  return Buffer.from(files.find(({ path }) => path === 'user-data')?.after ?? []).toString('utf8')
}

/** The script that cloud-init makes of runcmd; undefined after the test was skipped. */
function shellify(t: TestContext, userData: string): string | undefined {
  if (needTool(t, 'cloud-init', 'cloud-init') === undefined) return undefined
  const file = join(tempFolder(t), 'user-data')
  writeFileSync(file, userData)
  const program = `import sys, yaml
from cloudinit.util import shellify
sys.stdout.write(shellify(yaml.safe_load(open(sys.argv[1]))['runcmd']))`
  const { status, stdout, stderr } = run('/usr/bin/python3', ['-c', program, file])
  assert.equal(status, 0, stderr)
  return stdout
}

/** What ran, in order: `install`, `start` (it was run once more), `ssh`, and what the person's lines said. */
function runScript(t: TestContext, script: string): string[] {
  const folder = tempFolder(t)
  const boot = join(folder, 'boot')
  mkdirSync(join(boot, 'piimage'), { recursive: true })
  writeFileSync(
    join(boot, 'piimage/install.sh'),
    '[ -n "$PIIMAGE_FROM_UNIT" ] && echo install || echo start\n',
  )
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'systemctl'), '#!/bin/sh\necho ssh\n', { mode: 0o755 })
  // What systemd does with the service that this runs in.
  writeFileSync(join(bin, 'reboot'), '#!/bin/sh\nkill -TERM 0\n', {
    mode: 0o755,
  })
  const file = join(folder, 'runcmd')
  writeFileSync(
    file,
    script.replaceAll('/boot/firmware', boot).replaceAll("'/boot/piimage", `'${boot}/piimage`),
  )
  const { stdout } = run('setsid', ['--wait', 'dash', file], { env: { PATH: `${bin}:/usr/bin:/bin` } })
  return stdout.trim().split('\n')
}

const started = ['install', 'ssh', 'start']
const commands: { name: string; runcmd: unknown[]; ran: string[] }[] = [
  {
    name: 'commands',
    runcmd: ['echo a', ['echo', "it's b"]],
    ran: ['install', 'ssh', 'a', "it's b", 'start'],
  },
  { name: 'exit', runcmd: ['[ -d /mnt/data ] || exit 0', 'echo never'], ran: started },
  { name: 'set -euo pipefail', runcmd: ['set -euo pipefail', 'echo a'], ran: started },
  { name: 'set -e and a failure', runcmd: ['set -e', 'false', 'echo never'], ran: started },
  { name: 'exec', runcmd: ['exec echo a', 'echo never'], ran: ['install', 'ssh', 'a', 'start'] },
  { name: 'a boolean', runcmd: [false, true, 'echo a'], ran: ['install', 'ssh', 'a', 'start'] },
  {
    name: 'a number and nothing',
    runcmd: [null, ['echo', 1, true]],
    ran: ['install', 'ssh', '1 true', 'start'],
  },
  { name: 'a syntax error', runcmd: ['if true; then echo a'], ran: started },
  { name: 'a quote that is never closed', runcmd: ["echo it's"], ran: started },
  { name: 'a parenthesis too many', runcmd: [')', 'echo never'], ran: started },
  { name: 'a here-document', runcmd: ['cat <<X', 'a', 'X'], ran: ['install', 'ssh', 'a', 'start'] },
  { name: 'its own end', runcmd: ['kill -KILL $$'], ran: started },
  { name: 'another folder', runcmd: ['cd /nonexistent', 'cd /', 'trap "" TERM'], ran: started },
  { name: 'reboot', runcmd: ['echo a', 'reboot', 'echo never'], ran: ['install', 'ssh', 'a'] },
]
for (const system of ['trixie', 'hypriotos-1.12.3'] as const) {
  for (const { name, runcmd, ran } of commands) {
    test(`${system}: runcmd with ${name}: the node is installed`, async (t) => {
      const script = shellify(t, await userDataOf({ system, parameters: { 'user-data': { runcmd } } }))
      if (script !== undefined) assert.deepEqual(runScript(t, script), ran)
    })
  }
}

test('the same for a user-data of the command line', async (t) => {
  const script = shellify(t, await userDataOf({ given: '#cloud-config\nruncmd:\n- exit 0\n- false\n' }))
  if (script !== undefined) assert.deepEqual(runScript(t, script), started)
})

test('without commands of a person the installer runs once', async () => {
  const { runcmd } = parseUserData(await userDataOf({}), 'user-data')
  assert.deepEqual(runcmd, [
    ['systemctl', 'enable', '--now', 'ssh'],
    ['sh', '/boot/firmware/piimage/install.sh'],
  ])
})

test('cloud-init’s own schema takes what is written', async (t) => {
  const tool = needTool(t, 'cloud-init', 'cloud-init')
  if (tool === undefined) return
  const file = join(tempFolder(t), 'user-data')
  const runcmd = ['set -e', ['echo', 'x'], false]
  writeFileSync(file, await userDataOf({ parameters: { 'user-data': { runcmd, packages: ['vim'] } } }))
  const { status, stdout, stderr } = run(tool, ['schema', '-c', file])
  assert.equal(status, 0, stdout + stderr)
})

const refused: { name: string; parameters: Record<string, unknown>; message: RegExp }[] = [
  {
    name: 'a mapping among the commands',
    parameters: { 'user-data': { runcmd: ['echo a', { 'echo key': 'value' }] } },
    message: /entry 2 of runcmd is a mapping/,
  },
  {
    name: 'a mapping among the words',
    parameters: { 'user-data': { runcmd: [['echo', { a: 1 }]] } },
    message: /entry 1 of runcmd has a list or a mapping among its words/,
  },
  {
    name: 'no list',
    parameters: { 'user-data': { runcmd: 'reboot' } },
    message: /runcmd is not a list of commands/,
  },
  {
    name: 'more than an argument can be',
    parameters: { 'user-data': { runcmd: [`: ${'x'.repeat(128 * 1024)}`] } },
    message: /runcmd has more than 131071 bytes/,
  },
  {
    name: 'modules without the one that runs it',
    parameters: { 'user-data': { cloud_final_modules: ['final-message'] } },
    message: /cloud_final_modules has no scripts_user/,
  },
]
for (const { name, parameters, message } of refused) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(userDataOf({ parameters }), message)
  })
}

test('modules may be named with their frequency', async () => {
  const final = [['scripts-user', 'always'], 'final-message']
  await userDataOf({ parameters: { 'user-data': { cloud_final_modules: final } } })
})

const identities: Record<string, unknown>[] = [
  { hostname: 'node1', manage_etc_hosts: true },
  { fqdn: 'node1.lan' },
  { preserve_hostname: true },
  { ssh_keys: { ed25519_private: 'x' } },
  { user: { name: 'admin' } },
]
for (const tree of identities) {
  const [key = ''] = Object.keys(tree)
  test(`${JSON.stringify(tree)} may not be said for several nodes at once`, async (t) => {
    const shared = { parameters: { 'user-data': tree }, others: [{ name: 'carter' }] }
    await assert.rejects(userDataOf(shared), new RegExp(`overlay cloud-init says ${key}, .*oneil.*carter`))
    const folder = tempFolder(t)
    writeFileSync(join(folder, 'a.yaml'), `#cloud-config\n${JSON.stringify(tree)}\n`)
    const file = { parameters: { file: 'a.yaml' }, folder }
    await assert.rejects(
      userDataOf({ ...file, others: [{ name: 'carter' }] }),
      new RegExp(`a\\.yaml says ${key}`),
    )
    // For one node alone it is that node's.
    await userDataOf(file)
    await userDataOf({ ...file, others: [{ name: 'carter', overlays: [use('hostname')] }] })
  })
}

const harmless: Record<string, unknown>[] = [
  { hostname: 'oneil' },
  { fqdn: 'oneil.sgc.lan' },
  { preserve_hostname: false },
  { user: { name: 'ops', groups: ['docker'] } },
  { users: [{ name: 'backup' }] },
]
for (const tree of harmless) {
  test(`${JSON.stringify(tree)} is nobody else's`, async () => {
    await userDataOf({ parameters: { 'user-data': tree }, others: [{ name: 'carter' }] })
  })
}

const kinds: [string, RegExp][] = [
  ['## template: jinja\n#cloud-config\nhostname: {{ ds.x }}\n', /is a Jinja template, and a node's settings/],
  ['#cloud-config-archive\n- content: x\n', /is an archive of several parts/],
  ['#include\nhttps://example.org/x\n', /is a list of addresses/],
  ['#include-once\nhttps://example.org/x\n', /is a list of addresses/],
  ['#!/bin/sh\necho x\n', /is a script/],
  ['#cloud-boothook\necho x\n', /is a boothook/],
  ['#part-handler\nx\n', /is a part handler/],
  ['Content-Type: multipart/mixed; boundary="x"\nMIME-Version: 1.0\n', /is a MIME message/],
  ['MIME-Version: 1.0\n', /is a MIME message/],
  ['root:$6$salt$hash:19000:0:99999:7:::\n', /^f: the first line is not #cloud-config$/],
]
for (const [text, message] of kinds) {
  test(`refused with its reason: ${JSON.stringify(text.slice(0, 30))}`, () => {
    assert.throws(
      () => parseUserData(text, 'f'),
      (error: Error) => {
        assert.match(error.message, message)
        assert.ok(!error.message.includes('salt'), 'what the file says stays in it')
        return true
      },
    )
  })
}

test('a byte-order mark in front is no part of the text', () => {
  assert.deepEqual(parseUserData('\ufeff#cloud-config\r\na: 1\r\n', 'f'), { a: 1 })
})

test('cloud-init makes the user of the image’s own, and further users beside it', async (t) => {
  if (needTool(t, 'cloud-init', 'cloud-init') === undefined) return
  const user = {
    ...{ name: 'ops', sshKeys: ['ssh-ed25519 AAAAops ops'], sudoPassword: false },
    others: [
      {
        ...{ name: 'sam', sshKeys: ['ssh-ed25519 AAAAsam sam'], passwordHash: new Secret(PASSWORD_HASH) },
        ...{ sudo: true, sudoPassword: true, groups: ['dialout', 'gpio'], shell: '/bin/bash' },
      },
      {
        ...{ name: 'guest', sshKeys: [], sudo: false, sudoPassword: false },
        ...{ groups: [], shell: '/usr/sbin/nologin' },
      },
    ],
  }
  const file = join(tempFolder(t), 'user-data')
  const program = `import json, sys, yaml
from cloudinit.distros import ug_util
class Distro:
  def get_default_user(self): return {'name': 'pi', 'groups': ['video', 'sudo'], 'shell': '/bin/bash'}
print(json.dumps(ug_util.normalize_users_groups(yaml.safe_load(open(sys.argv[1])), Distro())[0]))`
  for (const system of ['trixie', 'hypriotos-1.12.3']) {
    writeFileSync(file, await userDataOf({ node: { user }, system }))
    const read = run('/usr/bin/python3', ['-c', program, file])
    assert.equal(read.status, 0, read.stderr)
    const { ops, sam, guest } = JSON.parse(read.stdout)
    assert.match(ops.groups, /video/, system)
    assert.deepEqual(ops.ssh_authorized_keys, ['ssh-ed25519 AAAAops ops'])
    assert.equal(ops.sudo, 'ALL=(ALL:ALL) NOPASSWD:ALL')
    assert.equal(sam.groups, 'dialout,gpio')
    assert.deepEqual(
      [sam.default, sam.shell, sam.lock_passwd, sam.passwd, sam.sudo],
      [false, '/bin/bash', false, PASSWORD_HASH, 'ALL=(ALL:ALL) ALL'],
    )
    assert.deepEqual(
      [guest.shell, guest.lock_passwd, guest.sudo, guest.groups, guest.ssh_authorized_keys],
      ['/usr/sbin/nologin', true, undefined, undefined, undefined],
    )
  }
})
