/** A cluster file, an overlay or a repository of somebody else's takes no secret out of where it belongs. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import type { Caller } from '../../src/work/caller.ts'
import { whileStateLocked } from '../../src/work/netroot/site.ts'
import { held } from '../support/attack.ts'
import { demoProject, type Project, runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const edit = (project: Project, change: (text: string) => string): void => {
  const file = project.file('cluster.yaml')
  writeFileSync(file, change(readFileSync(file, 'utf8')))
}

test('a cluster’s key is no Wi-Fi key and no password, under whatever name', async (t) => {
  const tricks: [name: string, content: (key: string) => string][] = [
    ['cluster.key', (key) => key],
    ['wifi.psk', (key) => key],
    ['wifi.psk', (key) => key.toUpperCase()],
    ['wifi.psk', (key) => `# piimage cluster key. Every key\n${key}`],
  ]
  let tried = 0
  for (const setting of [
    'wifi: { ssid: a, country: DE, pskFile: FILE }',
    'user: { name: ops, passwordFile: FILE }',
  ])
    for (const [name, content] of tricks) {
      const project = demoProject(t)
      const key = readFileSync(project.file('cluster.key'), 'utf8').trim()
      writeFileSync(project.file(name), `${content(key)}\n`, { mode: 0o600 })
      edit(project, (text) =>
        setting.startsWith('user')
          ? text.replace(/^user:\n(?: .*\n)+/m, `${setting.replace('FILE', name)}\n`)
          : `${text}\n${setting.replace('FILE', name)}\n`,
      )
      const said = await project.piimage('plan', '--node', 'oneil')
      assert.equal(said.status, 2, `${setting} ${name}: ${said.stdout}`)
      assert.match(said.stderr, /is a cluster's key, which is never put on a card/)
      assert.ok(!said.stderr.toLowerCase().includes(key.toLowerCase()))
      tried++
    }
  held(t, tried)
})

test('another cluster’s key does not travel by an overlay’s parameter', async (t) => {
  const project = demoProject(t)
  const other = demoProject(t)
  mkdirSync(project.file('overlays/fan'), { recursive: true })
  writeFileSync(
    project.file('overlays/fan/overlay.yaml'),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of overlay.yaml
    "name: fan\nsummary: A fan\nparameters: { p: { type: string, description: A file. } }\nedits:\n  - copy: { from: '${param.p}', to: x }\n",
  )
  copyFileSync(other.file('cluster.key'), project.file('notes.txt'))
  writeFileSync(
    project.file('notes.txt'),
    `# piimage cluster key. Of another\n${readFileSync(project.file('notes.txt'), 'utf8')}`,
  )
  for (const path of [other.file('cluster.key'), 'notes.txt']) {
    const before = readFileSync(project.file('cluster.yaml'), 'utf8')
    edit(project, (text) => text.replace(/^overlays:$/m, `overlays:\n  - { fan: { p: '${path}' } }`))
    const said = await project.piimage('plan', '--node', 'oneil')
    assert.equal(said.status, 2, said.stdout)
    assert.match(said.stderr, /holds a cluster's key|is not for everybody/)
    writeFileSync(project.file('cluster.yaml'), before)
  }
  held(t, 2)
})

test('an overlay gets no secret of another feature, and nobody but the head what the head alone may hold', async (t) => {
  const secrets = [
    'cluster-ca-key',
    'k3s-token',
    'k3s-agent-password',
    'k3s-agent-token',
    'kubeadm-token',
    'portainer-password',
    'join-key',
  ]
  for (const secret of secrets)
    for (const name of ['fan', 'k3s']) {
      const project = demoProject(t)
      mkdirSync(project.file(`overlays/${name}`), { recursive: true })
      writeFileSync(
        project.file(`overlays/${name}/overlay.yaml`),
        `name: ${name}\nsummary: A fan\nedits:\n  - materials: [${secret}]\n`,
      )
      const join = name === 'k3s' ? 'join: { kind: k3s, head: hammond }\n' : ''
      edit(project, (text) => `${join}${text.replace(/^overlays:$/m, `overlays:\n  - ${name}`)}`)
      const said = await project.piimage('plan', '--node', 'oneil')
      // What an agent of k3s has is the overlay k3s' own.
      if (name === 'k3s' && secret === 'k3s-agent-token') continue
      assert.equal(said.status, 2, `${name} ${secret}: ${said.stdout}`)
      assert.match(said.stderr, /which belongs to|which is not the head/)
    }
  held(t, secrets.length * 2 - 1)
})

test('rules of a cloned .gitignore that are taken back are answered behind', async (t) => {
  const git = needTool(t, 'git', 'git')
  if (git === undefined) return
  const cwd = tempFolder(t)
  const folder = join(cwd, 'clone')
  mkdirSync(folder)
  run(git, ['init', '-q', folder])
  const made = await runPiimage(cwd, ['init', 'clone', '--template', 'demo'])
  assert.equal(made.status, 0, made.stderr)
  for (const text of [
    'cluster.key\n!cluster.key\n',
    '!*\n',
    `${readFileSync(join(folder, '.gitignore'), 'utf8')}!cluster.key\n`,
  ]) {
    writeFileSync(join(folder, '.gitignore'), text)
    assert.equal((await runPiimage(cwd, ['init', 'clone', '--template', 'demo'])).status, 0)
    assert.equal(run(git, ['-C', folder, 'check-ignore', 'cluster.key']).status, 0, text)
  }
  held(t, 3)
})

test('a node that answers without end is cut off, and the others are shown', async (t) => {
  const project = demoProject(t)
  mkdirSync(project.file('bin'))
  writeFileSync(project.file('bin/ssh'), '#!/bin/sh\nexec cat /dev/zero\n')
  chmodSync(project.file('bin/ssh'), 0o755)
  const path = process.env.PATH
  process.env.PATH = `${project.file('bin')}:${path}`
  try {
    const said = await project.piimage('status')
    assert.equal(said.status, 8, said.stderr)
    assert.match(said.stdout, /oneil .*not reached: its answer is longer than/)
  } finally {
    process.env.PATH = path
  }
  held(t, 1)
})

test('a pipe in the place of a lock is said, not waited for', async (t) => {
  const project = demoProject(t)
  assert.equal(run('mkfifo', [project.file('.card.img.lock')]).status, 0)
  const said = await project.piimage('flash', '--node', `oneil=${project.file('card.img')}`)
  assert.equal(said.status, 2, said.stdout)
  assert.match(said.stderr, /the lock .*\.card\.img\.lock is not a plain file/)
  held(t, 1)
})

const OVERLAY =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of overlay.yaml
  "name: fan\nsummary: A fan\nparameters: { p: { type: string, description: A file. } }\nedits:\n  - copy: { from: '${param.p}', to: x }\n"

function withParameter(t: Parameters<typeof demoProject>[0], path: (project: Project) => string): Project {
  const project = demoProject(t)
  mkdirSync(project.file('overlays/fan'), { recursive: true })
  writeFileSync(project.file('overlays/fan/overlay.yaml'), OVERLAY)
  const p = path(project)
  edit(project, (text) => text.replace(/^overlays:$/m, `overlays:\n  - { fan: { p: ${JSON.stringify(p)} } }`))
  return project
}

test('a stranger’s cluster file puts nothing onto a card that is the user’s alone and lies elsewhere', async (t) => {
  const home = tempFolder(t)
  mkdirSync(join(home, '.kept'))
  writeFileSync(join(home, '.kept/key'), 'of the user alone\n', { mode: 0o600 })
  writeFileSync(join(home, '.kept/notes'), 'for all\n')
  chmodSync(join(home, '.kept/notes'), 0o644)
  const tricks: ((project: Project) => string)[] = [
    () => join(home, '.kept/key'),
    () => join(home, '.kept'),
    // For all by its own mode, in a folder that is closed.
    () => join(home, '.kept/notes'),
    (project) => {
      symlinkSync(join(home, '.kept/key'), project.file('innocent'))
      return 'innocent'
    },
    (project) => {
      symlinkSync(join(home, '.kept'), project.file('innocent'))
      return 'innocent/key'
    },
    (project) => relative(project.folder, join(home, '.kept/key')),
    () => '/etc/shadow',
  ]
  for (const trick of tricks) {
    const project = withParameter(t, trick)
    const said = await project.piimage('plan', '--node', 'oneil')
    assert.equal(said.status, 2, said.stdout)
    assert.match(said.stderr, /is not for everybody, and lies outside the cluster file's folder/)
    assert.ok(!said.stderr.includes('of the user alone'))
  }
  chmodSync(home, 0o755)
  for (const trick of [
    () => join(home, '.kept/notes'),
    (project: Project) => {
      writeFileSync(project.file('mine'), 'beside the cluster file\n', { mode: 0o600 })
      return 'mine'
    },
  ]) {
    const said = await withParameter(t, trick).piimage('plan', '--node', 'oneil')
    assert.equal(said.status, 0, said.stderr)
  }
  const folder = await withParameter(t, () => join(home, '.kept')).piimage('plan', '--node', 'oneil')
  assert.match(folder.stderr, /\.kept\/key is not for everybody/, 'a closed file in an open folder')
  held(t, tricks.length + 1)
})

test('the bare digits of another cluster’s key do not travel', async (t) => {
  const digits = 'a1'.repeat(32)
  for (const text of [digits, `${digits}\n`, `# mine\n${digits.toUpperCase()}\n`]) {
    const project = withParameter(t, (lab) => {
      writeFileSync(lab.file('notes'), text, { mode: 0o600 })
      return 'notes'
    })
    const said = await project.piimage('plan', '--node', 'oneil')
    assert.equal(said.status, 2, said.stdout)
    assert.match(said.stderr, /looks like a cluster's key/)
    assert.ok(!said.stderr.toLowerCase().includes(digits))
    // What everybody may read is a digest, or a secret no more.
    chmodSync(project.file('notes'), 0o644)
    assert.equal((await project.piimage('plan', '--node', 'oneil')).status, 0)
  }
  held(t, 3)
})

// biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of overlay.yaml
const COPIES = '- copy: { from: "${param.f}", to: stolen }'

function giveOverlay(project: Project, edits: string, given = ''): void {
  mkdirSync(project.file('overlays/evil'), { recursive: true })
  writeFileSync(
    project.file('overlays/evil/overlay.yaml'),
    `name: evil\nsummary: x\nparameters:\n  f: { type: string, description: x, default: x }\nedits:\n  ${edits}\n`,
  )
  edit(project, (text) => text.replace(/^overlays:$/m, `overlays:\n  - ${given || 'evil'}`))
}

test('what is derived of the key for a node is on no other node’s card', async (t) => {
  const project = demoProject(t)
  assert.equal((await project.piimage('bake', '--node', 'oneil', '--offline', '-o', '.')).status, 0)
  if (!needTool(t, 'mcopy', 'mtools')) return
  const from = ['-i', `${project.file('oneil.img')}@@4194304`, '::piimage/secrets/ssh_host_ed25519_key']
  assert.equal(run('mcopy', ['-n', ...from, project.file('notes.txt')]).status, 0)
  chmodSync(project.file('notes.txt'), 0o600)
  const pem = readFileSync(project.file('notes.txt'), 'utf8')
  const body = pem.replaceAll(/-----.*-----|\n/g, '')
  giveOverlay(project, COPIES, '{ evil: { f: notes.txt } }')
  for (const bytes of [pem, `key: ${body}`, Buffer.from(body, 'base64')]) {
    writeFileSync(project.file('notes.txt'), bytes)
    const said = await project.piimage('plan', '--node', 'hammond', '--offline')
    assert.equal(said.status, 2, said.stdout)
    assert.match(said.stderr, /notes\.txt holds what was derived from cluster\.key for a node/)
  }
  held(t, 3)
})

test('a release holds no pass phrase and no password of a file that the cluster file names', async (t) => {
  for (const setting of [
    'wifi: { ssid: a, country: DE, passphraseFile: word }',
    'user: { name: ops, passwordFile: word }',
  ]) {
    const project = demoProject(t)
    writeFileSync(project.file('word'), 'hunter22-secret\n', { mode: 0o600 })
    edit(project, (text) =>
      setting.startsWith('user')
        ? text.replace(/^user:\n(?: .*\n)+/m, `${setting}\n`)
        : `${text}\n${setting}\n`,
    )
    giveOverlay(project, COPIES, '{ evil: { f: word } }')
    const said = await project.piimage('bake', '--node', 'oneil', '--release', '--offline', '-o', 'out')
    assert.equal(said.status, 2, said.stdout)
    assert.match(said.stderr, /not for release: a secret is in piimage\/stolen/)
  }
  held(t, 2)
})

test('a link makes the cluster file’s folder no overlay’s own', async (t) => {
  const project = demoProject(t)
  writeFileSync(project.file('word'), 'hunter22-secret\n')
  giveOverlay(project, '- file: { path: stolen.txt, from: word }')
  renameSync(project.file('overlays/evil/overlay.yaml'), project.file('overlay.yaml'))
  rmdirSync(project.file('overlays/evil'))
  symlinkSync('..', project.file('overlays/evil'))
  const said = await project.piimage('plan', '--node', 'oneil', '--offline')
  assert.equal(said.status, 2, said.stdout)
  assert.match(said.stderr, /is a link to a folder that it lies in/)
  held(t, 1)
})

test('a server keeps no state where another user could put something into it', async (t) => {
  if (!needRoot(t)) return
  const folder = tempFolder(t)
  const lock = (state: string) =>
    whileStateLocked(
      { state, place: { prefix: '' } },
      { signal: new AbortController().signal } as Caller,
      async () => 'done',
    )
  const their = join(folder, 'their')
  mkdirSync(their)
  chownSync(their, 12_345, 12_345)
  const open = join(folder, 'open')
  mkdirSync(open)
  chmodSync(open, 0o777)
  symlinkSync(their, join(folder, 'link'))
  for (const state of [join(their, 'state'), join(open, 'a/state'), join(folder, 'link', 'state'), their])
    await assert.rejects(lock(state), { name: 'UsageError', message: /is not safe to use/ }, state)
  assert.deepEqual([readdirSync(their), readdirSync(open)], [[], []])
  assert.equal(await lock(join(folder, 'own')), 'done')
  held(t, 4)
})

test('a cluster key that git keeps is told, whatever version the index has', async (t) => {
  const git = needTool(t, 'git', 'git')
  if (git === undefined) return
  const root = tempFolder(t)
  const folder = join(root, 'home/my cluster')
  mkdirSync(folder, { recursive: true })
  run(git, ['init', '-q', root])
  assert.equal((await runPiimage(root, ['init', folder, '--template', 'demo'])).status, 0)
  for (const name of ['a', 'cluster.keys', 'home/my cluster/cluster.ke', 'home/z', 'home/my cluster/é'])
    writeFileSync(join(root, name), '')
  const plan = async () => (await runPiimage(folder, ['plan', '--node', 'oneil', '--offline'])).stderr
  for (const version of ['2', '3', '4']) {
    run(git, ['-C', root, 'update-index', '--index-version', version])
    run(git, ['-C', root, 'add', '-A'])
    // An entry with extended flags, as version 3 has them.
    writeFileSync(join(root, 'later'), 'x')
    run(git, ['-C', root, 'add', '-N', 'later'])
    assert.doesNotMatch(await plan(), /is in git/, version)
    run(git, ['-C', root, 'add', '-f', 'home/my cluster/cluster.key'])
    assert.match(await plan(), /cluster\.key is in git: whoever gets a copy/, version)
    run(git, ['-C', root, 'rm', '-q', '--cached', 'home/my cluster/cluster.key'])
  }
  // What the repository says is to be run is not.
  writeFileSync(join(root, '.git/config'), '[core]\n\tfsmonitor = touch ran; false\n')
  await plan()
  assert.ok(!existsSync(join(root, 'ran')) && !existsSync(join(folder, 'ran')))
  for (const index of ['', 'DIRC', `DIRC${'\0'.repeat(7)}\x04\xff\xff\xff\xff`, 'x'.repeat(4096)]) {
    writeFileSync(join(root, '.git/index'), index, 'latin1')
    assert.doesNotMatch(await plan(), /is in git|bug/)
  }
  held(t, 8)
})
