/** Nobody can log in, or a node needs no card: said before anything is written. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { disklessProject } from '../netroot/diskless.ts'
import { HASH } from '../support/personal-project.ts'
import { DEMO_IMAGE, demoProject } from '../support/project.ts'

const KEY = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop').publicLine
const DEMO_KEY = /ssh-ed25519 \S+ demo@piimage/

/** The demo with another `user:`, and overlays in place of its own. */
function projectOf(t: TestContext, user: string, overlays = '[ssh]') {
  const project = demoProject(t)
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
    .replace(/\nuser:\n[\s\S]*?\n\n/, `\n${user}\n\n`)
    .replace(/\noverlays:\n[\s\S]*?\n\n/, `\noverlays: ${overlays}\n\n`)
  writeFileSync(project.file('cluster.yaml'), text)
  return project
}

const cases: [name: string, user: string, overlays: string, says: RegExp | undefined][] = [
  ['no account', '', '[ssh]', /nobody can log in to oneil: it has no account/],
  ['no key and no password', 'user: { name: ops }', '[ssh]', /oneil: ops has no key and no password/],
  ['a key, and ssh is off', `user: { name: ops, sshKeys: ['${KEY}'] }`, '[]', /oneil: ssh is off/],
  ['a key', `user: { name: ops, sshKeys: ['${KEY}'] }`, '[ssh]', undefined],
  ['a password, and ssh is off', `user: { name: ops, passwordHash: '${HASH}' }`, '[]', undefined],
]

for (const [name, user, overlays, says] of cases)
  test(`plan, flash and bake: ${name}`, async (t) => {
    const project = projectOf(t, user, overlays)
    const plan = await project.piimage('plan', '--node', 'oneil')
    const flash = await project.piimage('flash', '--node', 'oneil=oneil.img', '--json')
    const bake = await project.piimage('bake', '--node', 'oneil', '-o', 'out')
    for (const { status, stderr } of [plan, flash, bake]) assert.equal(status, 0, stderr)
    for (const text of [plan.stdout, flash.stderr, bake.stderr])
      if (says === undefined) assert.doesNotMatch(text, /nobody can log in/)
      else assert.match(text, says)
    const kinds = flash.events.map(({ event }) => event)
    if (says !== undefined) assert.ok(kinds.indexOf('warning') < kinds.lastIndexOf('progress'))
  })

test("the demo's key opens nothing; a second one does", async (t) => {
  const project = demoProject(t)
  const said = await project.piimage('plan', '--node', 'oneil')
  assert.match(said.stdout, /nobody can log in to oneil: the only key of ops is the demo's/)
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    text.replace(DEMO_KEY, (line) => `${line}\n    - ${KEY}`),
  )
  assert.doesNotMatch((await project.piimage('plan', '--node', 'oneil')).stdout, /nobody can log in/)
})

test('a node without a cluster file, and one whose user-data has accounts of its own', async (t) => {
  const project = demoProject(t)
  const flags = ['--image', DEMO_IMAGE, '--hostname', 'black', '--lock', project.file('images.lock.json')]
  assert.match(
    (await project.piimage('plan', ...flags)).stdout,
    /nobody can log in to black: it has no account/,
  )
  writeFileSync(project.file('user-data'), '#cloud-config\nusers: [{ name: me, ssh_authorized_keys: [x] }]\n')
  const own = await project.piimage('plan', ...flags, '--userdata', 'user-data')
  assert.equal(own.status, 0, own.stderr)
  assert.doesNotMatch(own.stdout, /nobody can log in/)
})

for (const words of [
  ['flash', '--node', 'oneil=oneil.img'],
  ['bake', '--node', 'oneil', '-o', '.'],
  ['flash', '--node', 'hammond=hammond.img', '--node', 'oneil=oneil.img'],
])
  test(`${words.join(' ')}: a card for a node that boots from the network is asked about`, async (t) => {
    const project = disklessProject(t)
    const refused = await project.piimage(...words)
    assert.equal(refused.status, 2, refused.stderr)
    assert.match(refused.stderr, /oneil: boot: net, so there is no card to make\n.*piimage netroot/)
    assert.ok(!existsSync(project.file('oneil.img')))
    const confirmed = await project.piimage(...words, '--yes')
    assert.equal(confirmed.status, 0, confirmed.stderr)
    assert.match(confirmed.stderr, /oneil boots from the network and needs no card/)
    assert.ok(existsSync(project.file('oneil.img')))
  })

test('plan says of a diskless node that it needs no card', async (t) => {
  const said = await disklessProject(t).piimage('plan', '--all')
  assert.match(said.stdout, /warning: oneil boots from the network and needs no card/)
  assert.doesNotMatch(said.stdout, /warning: hammond boots/)
})
