/** Secrets are on the node's own card, and nowhere else: not in what is said, not in what is left lying about. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { figure } from '../support/figures.ts'
import { findIn, personalProject, secretsOf } from '../support/personal-project.ts'

/** Each command once, as people use it; the first ones make what the later ones read. */
const commandLines: readonly (readonly string[])[] = [
  ['plan', '--all'],
  ['plan', '--all', '--json'],
  ['flash', '--node', 'oneil=card.img'],
  ['flash', '--node', 'carter=other.img', '--json'],
  ['bake', '--node', 'hammond', '--output', 'out'],
  ['bake', '--node', 'oneil', '--output', 'out', '--json'],
  ['inspect', 'card.img'],
  ['inspect', 'card.img', '--json', '--check'],
  ['customise', 'card.img', '--node', 'carter'],
  ['customise', 'card.img', '--node', 'oneil', '--json'],
  ['images', 'list', '--json'],
  ['images', 'verify'],
  ...['ssh-config', 'ansible', 'hosts', 'known-hosts', 'eeprom'].map((what) => ['export', what]),
]

/** A person's own files, and cards. */
const MAY_HOLD = /^(cluster\.key|cluster\.yaml|home\.psk|card\.img|other\.img|out\/(hammond|oneil)\.img)$/

test('no secret, derived or given, in any output, and in no file but the cards and the person’s own', async (t) => {
  const project = personalProject(t)
  // The public key is what the cluster file shows; it is no secret here.
  const secrets = (await secretsOf(project)).filter((secret) => !secret.toString().startsWith('AAAAC3'))
  for (const words of commandLines) {
    const said = await project.piimage(
      ...words.map((word) => (/\.img$|^out$/.test(word) ? inFolder(word) : word)),
    )
    assert.equal(said.status, 0, `${words.join(' ')}: ${said.stderr}`)
    assert.deepEqual(findIn(Buffer.from(said.stdout + said.stderr), secrets), [], words.join(' '))
  }
  assert.ok(
    findIn(readFileSync(project.file('card.img')), secrets).length > 3,
    'the search finds what is there',
  )

  const files = readdirSync(project.folder, { recursive: true, encoding: 'utf8' })
  let searched = 0
  for (const name of files) {
    const path = project.file(name)
    if (!statSync(path).isFile()) continue
    if (MAY_HOLD.test(name)) {
      if (name !== 'cluster.yaml')
        assert.equal(statSync(path).mode & 0o077, 0, `${name} can be read by others`)
      continue
    }
    assert.deepEqual(findIn(readFileSync(path), secrets), [], name)
    searched += 1
  }
  assert.ok(searched > 5, files.join(' '))

  figure(t, 'secrets', secrets.length)
  figure(t, 'command lines', commandLines.length)

  function inFolder(word: string): string {
    const [, node = '', path = ''] = /^(?:(\w+)=)?(.*)$/.exec(word) ?? []
    return node === '' ? join(project.folder, path) : `${node}=${join(project.folder, path)}`
  }
})
