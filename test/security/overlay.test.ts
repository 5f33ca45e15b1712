// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of overlay.yaml
/** A stranger's overlay: data that stays in its own folder, and says nothing of other files. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inBoundedTime } from '../../src/customise/foreign-schema.ts'
import { ClusterKey } from '../../src/secrets/cluster-key.ts'
import { derive } from '../../src/secrets/derive.ts'
import { findAnyOf } from '../../src/secrets/occurrences.ts'
import { sha512crypt } from '../../src/secrets/sha512crypt.ts'
import { held } from '../support/attack.ts'
import { demoProject, type Project } from '../support/project.ts'
import { needTool } from '../support/tools.ts'

const OWN = /is a place of piimage's own in the payload/
const LINE = 'the first line of somebody’s secret file'

interface Trick {
  /** An edit of overlay.yaml, in YAML's flow form. */
  edit: string
  parameters?: string
  /** What the cluster file gives: `{ file: … }`. */
  given?: string
  prepare?: (project: Project, folder: string) => void
}

function plant(t: TestContext, { edit, parameters = '{}', given, prepare }: Trick) {
  const project = demoProject(t)
  const folder = project.file('overlays/fan')
  mkdirSync(folder, { recursive: true })
  writeFileSync(project.file('private'), `${LINE}\nand a second one\n`, { mode: 0o600 })
  writeFileSync(
    join(folder, 'overlay.yaml'),
    `name: fan\nsummary: A fan\nparameters: ${parameters}\nedits:\n  - ${edit}\n`,
  )
  prepare?.(project, folder)
  const cluster = readFileSync(project.file('cluster.yaml'), 'utf8')
  const use = given === undefined ? 'fan' : `{ fan: ${given} }`
  assert.match(cluster, /^overlays:$/m)
  writeFileSync(project.file('cluster.yaml'), cluster.replace(/^overlays:$/m, `overlays:\n  - ${use}`))
  return project
}

const keyOf = (project: Project): string => readFileSync(project.file('cluster.key'), 'utf8').trim()

async function refused(t: TestContext, trick: Trick, reason: RegExp): Promise<void> {
  const project = plant(t, trick)
  const key = keyOf(project)
  const calls = [
    ['plan', '--node', 'oneil'],
    ['plan', '--node', 'oneil', '--json'],
    ['flash', '--node', 'oneil', project.file('card.img')],
    ['bake', '--release', '--node', 'oneil', '--output', project.file('rel'), '--format', 'img'],
  ]
  for (const call of calls) {
    const said = await project.piimage(...call)
    const text = `${said.stdout}${said.stderr}`
    // A file that is not what it should be, or an overlay that asks for what it may not.
    assert.ok([2, 4].includes(said.status), text)
    assert.match(text, reason)
    for (const secret of [LINE, 'second one', key, key.toUpperCase()]) assert.ok(!text.includes(secret), text)
  }
  assert.ok(!existsSync(project.file('card.img')))
  const baked = existsSync(project.file('rel')) ? readdirSync(project.file('rel')) : []
  assert.deepEqual(
    baked.filter((name) => /\.img/.test(name)),
    [],
  )
  held(t, calls.length)
}

const OUT = /leads out of the overlay's folder|leads out of its folder/
const KEY = /holds a cluster's key/
const linkTo =
  (target: (project: Project) => string, name = 'notes') =>
  (project: Project, folder: string) =>
    symlinkSync(target(project), join(folder, name))
const FILE = '{ file: { description: A file., type: string } }'

const tricks: Record<string, Trick & { reason: RegExp }> = {
  'copy: the key by its name': { edit: 'copy: { from: ../../cluster.key, to: fan/table }', reason: OUT },
  'copy: over the library of first boot': { edit: 'copy: { from: notes, to: lib.sh }', reason: OWN },
  'copy: over another’s step': { edit: 'copy: { from: notes, to: early.d/10-hostname.sh }', reason: OWN },
  'copy: among the secrets': { edit: 'copy: { from: notes, to: Secrets/ssh_host_ed25519_key }', reason: OWN },
  'copy: over a text that piimage makes': { edit: 'copy: { from: notes, to: material/x }', reason: OWN },
  'copy: an absolute path': { edit: 'copy: { from: /etc/shadow, to: fan/table }', reason: OUT },
  'copy: the folder above': { edit: 'copy: { from: .., to: fan/all }', reason: OUT },
  'copy: in and out again': { edit: 'copy: { from: a/../../../private, to: fan/x }', reason: OUT },
  'copy: a link': {
    edit: 'copy: { from: notes, to: fan/x }',
    prepare: linkTo((p) => p.file('private')),
    reason: OUT,
  },
  'copy: a link to a link': {
    edit: 'copy: { from: notes, to: fan/x }',
    prepare(project, folder) {
      symlinkSync(project.file('private'), join(folder, 'one'))
      symlinkSync('one', join(folder, 'notes'))
    },
    reason: OUT,
  },
  'copy: a link to a folder': {
    edit: 'copy: { from: notes/private, to: fan/x }',
    prepare: linkTo((p) => p.folder),
    reason: OUT,
  },
  'copy: a default of its own parameter': {
    edit: 'copy: { from: "${param.file}", to: fan/x }',
    parameters: '{ file: { description: A file., type: string, default: ../../private } }',
    reason: OUT,
  },
  'copy: words of its own around a parameter': {
    edit: 'copy: { from: "../../${param.file}", to: fan/x }',
    parameters: FILE,
    given: '{ file: private }',
    reason: OUT,
  },
  'copy: a parameter that names the key': {
    edit: 'copy: { from: "${param.file}", to: fan/x }',
    parameters: FILE,
    given: '{ file: cluster.key }',
    reason: KEY,
  },
  'copy: a parameter that names a link to the key': {
    edit: 'copy: { from: "${param.file}", to: fan/x }',
    parameters: FILE,
    given: '{ file: innocent }',
    prepare: (project) => symlinkSync('cluster.key', project.file('innocent')),
    reason: KEY,
  },
  'copy: a parameter that names another name of the key': {
    edit: 'copy: { from: "${param.file}", to: fan/x }',
    parameters: FILE,
    given: '{ file: innocent }',
    prepare: (project) => linkSync(project.file('cluster.key'), project.file('innocent')),
    reason: KEY,
  },
  'copy: a parameter that names a copy of the key, in base64': {
    edit: 'copy: { from: "${param.file}", to: fan/x }',
    parameters: FILE,
    given: '{ file: innocent }',
    prepare(project) {
      const key = Buffer.from(keyOf(project), 'hex').toString('base64')
      writeFileSync(project.file('innocent'), `a: ${key.slice(0, 20)}\n   ${key.slice(20)}\n`)
    },
    reason: KEY,
  },
  'copy: a folder in which the key lies': {
    edit: 'copy: { from: stuff, to: fan/x }',
    prepare(project, folder) {
      mkdirSync(join(folder, 'stuff'))
      linkSync(project.file('cluster.key'), join(folder, 'stuff/table'))
    },
    reason: KEY,
  },
  'file: another name of the key in its own folder': {
    edit: 'file: { path: readme.txt, from: notes }',
    prepare: (project, folder) => linkSync(project.file('cluster.key'), join(folder, 'notes')),
    reason: KEY,
  },
  'file: a copy of the key in its own folder': {
    edit: 'file: { on: root, path: /etc/fan, from: notes }',
    prepare: (project, folder) => copyFileSync(project.file('cluster.key'), join(folder, 'notes')),
    reason: KEY,
  },
  'file: a link': {
    edit: 'file: { path: readme.txt, from: notes }',
    prepare: linkTo((p) => p.file('private')),
    reason: OUT,
  },
  'file: a link to a pipe': {
    edit: 'file: { path: readme.txt, from: notes }',
    prepare: (_, folder) => void execFileSync('mkfifo', [join(folder, 'notes')]),
    reason: /is not a plain file/,
  },
  'file: a link to a device': {
    edit: 'file: { path: readme.txt, from: notes }',
    prepare: linkTo(() => '/dev/zero'),
    reason: OUT,
  },
  'file: a path upwards': {
    edit: 'file: { path: readme.txt, from: ../../private }',
    reason: /must be a path inside the overlay's folder/,
  },
  'cloud-init: a path upwards': { edit: 'cloud-init: { file: ../../private }', reason: OUT },
  'cloud-init: an absolute path': { edit: 'cloud-init: { file: /etc/shadow }', reason: OUT },
  'cloud-init: a link': {
    edit: 'cloud-init: { file: notes }',
    prepare: linkTo((p) => p.file('private')),
    reason: OUT,
  },
  'cloud-init: a parameter that names no cloud-config': {
    edit: 'cloud-init: { file: "${param.file}" }',
    parameters: FILE,
    given: '{ file: private }',
    reason: /the first line is not #cloud-config/,
  },
  'cloud-init: YAML with a mistake in a secret line': {
    edit: 'cloud-init: { file: "${param.file}" }',
    parameters: FILE,
    given: '{ file: data }',
    prepare: (project) => writeFileSync(project.file('data'), `#cloud-config\na: |${LINE}\n`),
    reason: /not valid YAML at line 2, column 5/,
  },
  'firstboot: a link': {
    edit: 'firstboot: { phase: network, order: 60, script: notes.sh }',
    prepare: linkTo((p) => p.file('private'), 'notes.sh'),
    reason: OUT,
  },
  'a parameter: a pattern that backtracks': {
    edit: 'cmdline: { add: ["fan=${param.a}"] }',
    parameters: "{ a: { description: All of a., type: string, pattern: '^(a+)+$' } }",
    given: `{ a: "${'a'.repeat(5_000)}!" }`,
    reason: /overlay fan: a: must be all of a/,
  },
  'a parameter: names of keys that backtrack': {
    edit: 'cmdline: { add: [fan] }',
    parameters: "{ a: { description: A map., propertyNames: { pattern: '^(a|a)*$' } } }",
    given: `{ a: { "${'a'.repeat(1_000)}!": 1 } }`,
    reason: /overlay fan: a: /,
  },
  'a parameter: a pattern that backtracks over the words beside it': {
    edit: 'cmdline: { add: [fan] }',
    parameters: `{ a: { description: A map., type: object, properties: { "${'a'.repeat(60)}!": {} }, patternProperties: { "^(a+)+$": { type: string } } } }`,
    given: '{ a: { aa: 1 } }',
    reason: /overlay fan: a.aa: must be string/,
  },
  'a parameter: a pattern with look-ahead': {
    edit: 'cmdline: { add: [fan] }',
    parameters: "{ a: { description: Not b., type: string, pattern: '^(?!b)' } }",
    given: '{ a: x }',
    reason:
      /overlay\.yaml:3:1: a parameter is not valid: the pattern "\^\(\?!b\)" is not one of RE2's: .*Perl syntax/,
  },
  'a parameter: a pattern of a million steps': {
    edit: 'cmdline: { add: [fan] }',
    parameters: "{ a: { description: Much., type: string, pattern: '^((a?){30}){30}$' } }",
    given: '{ a: a }',
    reason: /the pattern .* repeats too much/,
  },
  'a parameter: a pattern longer than any': {
    edit: 'cmdline: { add: [fan] }',
    parameters: `{ a: { description: Much., type: string, pattern: "${'(a?){1000}'.repeat(500)}" } }`,
    given: '{ a: a }',
    reason: /the pattern .* has more than 1000 characters/,
  },
  'a parameter: a choice of choices of choices': {
    edit: 'cmdline: { add: [fan] }',
    parameters: `{ a: { description: Much., $ref: "#/properties/a/definitions/d0", definitions: { ${Array.from(
      { length: 34 },
      (_, i) =>
        `d${i}: { anyOf: [ { $ref: "#/properties/a/definitions/d${i + 1}" }, { $ref: "#/properties/a/definitions/d${i + 1}" } ] }`,
    ).join(', ')}, d34: { type: string } } } }`,
    given: '{ a: 1 }',
    reason: /overlay\.yaml:3:1: a parameter is not valid: it refers to "#\/properties\/a\/definitions\/d0"/,
  },
  'a parameter: a schema that is its own part': {
    edit: 'cmdline: { add: [fan] }',
    parameters: '{ a: { description: A circle., allOf: [ { $ref: "#/properties/a" } ] } }',
    given: '{ a: 1 }',
    reason: /it refers to "#\/properties\/a", and each has to stand by itself/,
  },
  'copy: names that backtrack': {
    edit: "copy: { from: stuff, to: fan/x, names: '^(a+)+$' }",
    prepare(_, folder) {
      mkdirSync(join(folder, 'stuff'))
      writeFileSync(join(folder, 'stuff', `${'a'.repeat(100)}-`), '')
    },
    reason: /holds none of the files that belong there/,
  },
  'copy: names with a back-reference': {
    edit: "copy: { from: stuff, to: fan/x, names: '(a)\\1' }",
    prepare: (_, folder) => void mkdirSync(join(folder, 'stuff')),
    reason: /names: the pattern .* is not one of RE2's/,
  },
  'overlay.yaml that is a link': {
    edit: 'copy: { from: x, to: fan/x }',
    prepare(project, folder) {
      mkdirSync(project.file('overlays/two'))
      symlinkSync(project.file('private'), project.file('overlays/two/overlay.yaml'))
      writeFileSync(join(folder, 'x'), '')
    },
    reason: OUT,
  },
}

for (const [what, { reason, ...trick }] of Object.entries(tricks))
  test(`refused: ${what}`, (t) => refused(t, trick, reason))

test('what an overlay may: files of its folder, links within it, what its parameters name', async (t) => {
  const project = plant(t, {
    edit: 'copy: { from: "${param.file}", to: fan/given }\n  - copy: { from: link, to: fan/own }\n  - file: { path: fan.txt, from: link }',
    parameters: FILE,
    given: '{ file: private }',
    prepare(_, folder) {
      writeFileSync(join(folder, 'real'), 'its own\n')
      symlinkSync('real', join(folder, 'link'))
    },
  })
  const said = await project.piimage('plan', '--node', 'oneil')
  assert.equal(said.status, 0, said.stderr)
  for (const name of ['piimage/fan/given', 'piimage/fan/own', 'fan.txt'])
    assert.ok(said.stdout.includes(name))
})

test('what takes too long is stopped, and the next is judged again', (t) => {
  const forever = () => {
    for (;;);
  }
  assert.throws(() => inBoundedTime(forever, 50), /takes more than 0\.05 s to check/)
  assert.equal(
    inBoundedTime(() => 7),
    7,
  )
  const own = new Error('its own')
  assert.throws(
    () =>
      inBoundedTime(() => {
        throw own
      }),
    own,
  )
  held(t, 1)
})

/** Two paths that FAT takes for one. */
const twins: [string, string][] = [
  ['Readme.txt', 'README.TXT'],
  ['a/b/C.txt', 'A/B/c.TXT'],
  ['notes.', 'notes'],
  ['notes ', 'NOTES'],
  ['LONGNA~1.TXT', 'longname with.txt'],
  ['longname with.txt', 'LONGNA~2.TXT'],
  ['ärger.txt', 'ÄRGER.TXT'],
  ['thing', 'thing/inside'],
  ['Thing/inside', 'thing'],
]
for (const [one, other] of twins) {
  test(`one file on FAT: ${one} and ${other}`, async (t) => {
    const edit = `file: { path: ${JSON.stringify(one)}, content: a }\n  - file: { path: ${JSON.stringify(other)}, content: b }`
    const project = plant(t, { edit })
    const said = await project.piimage('flash', '--node', 'oneil', project.file('card.img'))
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, /are the same file on a FAT partition/)
    held(t, 1)
  })
}

/** A secret that is derived from the cluster's key, as somebody may write it down. */
const disguises: Record<string, (key: Buffer) => Buffer | string> = {
  'as it is': (key) => key,
  hex: (key) => key.toString('hex'),
  'upper-case hex': (key) => key.toString('hex').toUpperCase(),
  'hex with colons': (key) => (key.toString('hex').match(/../g) ?? []).join(':'),
  'bytes of C': (key) => [...key].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', '),
  'escapes of a shell': (key) => [...key].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  'hex over lines': (key) => (key.toString('hex').match(/.{1,16}/g) ?? []).join('\n  '),
  'hex in UTF-16': (key) => Buffer.from(key.toString('hex'), 'utf16le'),
  base64: (key) => key.toString('base64'),
  base64url: (key) => key.toString('base64url'),
  'base64 at another offset': (key) =>
    Buffer.concat([Buffer.from('x'), key, Buffer.from('yz')]).toString('base64'),
  'base64 at the third offset': (key) => Buffer.concat([Buffer.from('xy'), key]).toString('base64'),
  'base64 of the hex': (key) => Buffer.from(key.toString('hex')).toString('base64'),
  PEM: (key) =>
    `-----BEGIN THING-----\n${(key.toString('base64').match(/.{1,20}/g) ?? []).join('\r\n')}\n-----END THING-----`,
  'base64 in JSON with line ends': (key) => JSON.stringify(key.toString('base64').replace(/(.{9})/g, '$1\n')),
  base32: (key) => execFileSync('base32', ['-w0'], { input: key }).toString(),
  'base32 over lines, at an offset': (key) =>
    execFileSync('base32', ['-w8'], { input: Buffer.concat([Buffer.from('abc'), key]) }).toString(),
}
for (const [what, disguise] of Object.entries(disguises)) {
  test(`bake --release: a derived secret, ${what}`, async (t) => {
    if (needTool(t, 'base32', 'coreutils') === undefined) return
    const project = plant(t, {
      edit: 'copy: { from: notes, to: fan/notes }',
      prepare(lab, folder) {
        const secret = derive(new ClusterKey(Buffer.from(keyOf(lab), 'hex')), 'ssh-host-key', 'carter', 32)
        const written = ['before ', disguise(secret), ' after'].map((part) => Buffer.from(part))
        writeFileSync(join(folder, 'notes'), Buffer.concat(written))
      },
    })
    const call = ['bake', '--release', '--node', 'oneil', '--output', project.file('rel'), '--format', 'img']
    const said = await project.piimage(...call)
    assert.equal(said.status, 2, said.stdout + said.stderr)
    assert.match(said.stderr, /node oneil is not for release: a secret is in piimage\/fan\/notes/)
    assert.ok(!existsSync(project.file('rel/demo-oneil.img')))
    held(t, 1)
  })
}

test('a secret is found at each place of a large file, and nothing where there is none', () => {
  const secret = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
  const finds = findAnyOf([secret, 'a token of letters'])
  for (const at of [0, 1, 2, 3, 65_535, 65_536, 99_984]) {
    const bytes = Buffer.alloc(100_000, 'innocent ')
    assert.equal(finds(bytes), false)
    secret.copy(bytes, at)
    assert.equal(finds(bytes), true, `at ${at}`)
  }
  assert.equal(finds(Buffer.from('a token of letters')), true)
  assert.equal(finds(Buffer.from('YSB0b2tlbiBvZiBsZXR0ZXJz')), true)
  assert.equal(finds(secret.subarray(0, 15)), false)
})

test('base64 in which a byte of hex seems to begin is base64', () => {
  const secret = Buffer.from('AA0xryHRMqRXTxo0XFjwjK==', 'base64')
  for (const before of ['', 'x', 'xy'])
    assert.equal(
      findAnyOf([secret])(
        Buffer.from(Buffer.from(before + secret.toString('latin1'), 'latin1').toString('base64')),
      ),
      true,
      before,
    )
})

test('a derived password is known by its hash', () => {
  const finds = findAnyOf(['fmzquvwhxkpojnrt', 'another-password'])
  assert.equal(finds(Buffer.from(`ops:${sha512crypt('fmzquvwhxkpojnrt', 'saltsalt')}:19000::`)), true)
  assert.equal(finds(Buffer.from(`ops:${sha512crypt('mine', 'saltsalt')}:19000::`)), false)
})
