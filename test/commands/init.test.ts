/** `init`: every template becomes a file without a mistake, and nothing that is there is lost. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { features } from '../../src/features/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { sha512crypt } from '../../src/secrets/sha512crypt.ts'
import { wordsOfBoards } from '../../src/work/init-answers.ts'
import { templateNames } from '../../src/work/template.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'

const publicLine = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop').publicLine
const PASSPHRASE = 'correct horse battery'

/** A person's folder, which is their home too, with an SSH key and a file with a pass phrase. */
function home(t: TestContext): string {
  const folder = tempFolder(t)
  mkdirSync(join(folder, '.ssh'))
  writeFileSync(join(folder, '.ssh', 'id_ed25519.pub'), `${publicLine}\n`)
  writeFileSync(join(folder, 'attic.wifi'), `${PASSPHRASE}\n`, { mode: 0o600 })
  return folder
}

const wifiFlags = [
  '--wifi',
  'Attic: 2nd floor',
  '--wifi-country',
  'NL',
  '--wifi-passphrase-file',
  'attic.wifi',
]
const template = (name: string): string =>
  readFileSync(join(packageRoot(), 'examples', name, 'cluster.yaml'), 'utf8')
const hasWifi = (name: string): boolean => /^\s+wifi:/m.test(template(name))
const commentsOf = (text: string): string[] =>
  text
    .split('\n')
    .flatMap((line) => (/^# yaml-language-server/.test(line) ? [] : (/(?:^|\s)#\s.*$/.exec(line) ?? [])))

test('the five stories are there to start from, and a plain start', () =>
  assert.deepEqual(templateNames(), [
    'basic',
    'clusterhat',
    'demo',
    'feeder-diskless',
    'hypriot-k8s',
    'magi',
    'mixed-arch',
  ]))

for (const name of templateNames())
  test(`${name}: from flags alone, without a mistake or a warning`, async (t) => {
    const cwd = home(t)
    const flags = ['--template', name, '--yes', '--user', 'me', '--name', 'my-pis']
    const said = await runPiimage(cwd, [
      'init',
      'pis',
      ...flags,
      '--ssh-key',
      '.ssh/id_ed25519.pub',
      ...(hasWifi(name) ? wifiFlags : []),
    ])
    assert.equal(said.status, 0, said.stderr)
    const file = join(cwd, 'pis', 'cluster.yaml')
    const cluster = await readCluster(file, { features, home: cwd })
    assert.deepEqual(cluster.warnings, [])
    assert.equal(cluster.name, 'my-pis')
    for (const node of cluster.nodes) {
      assert.equal(node.user?.name, 'me')
      assert.deepEqual(node.user?.sshKeys, [publicLine])
      if (node.wifi !== undefined)
        assert.deepEqual([node.wifi.ssid, node.wifi.country], ['Attic: 2nd floor', 'NL'])
    }
    const text = readFileSync(file, 'utf8')
    assert.deepEqual(commentsOf(text), commentsOf(template(name)), 'every comment stays')
    // No piimage is installed above it: an editor finds the schema of the one that ran.
    const [, schema = ''] = /^# yaml-language-server: \$schema=(file:\S+)\n/.exec(text) ?? []
    assert.equal(fileURLToPath(schema), join(packageRoot(), 'schema/cluster.v1.json'))
    assert.equal(text.split('\n').length, template(name).split('\n').length, 'nothing is reflowed')

    const ignored = readFileSync(join(cwd, 'pis', '.gitignore'), 'utf8').split('\n')
    assert.ok(ignored.includes('cluster.key'))
    assert.ok(ignored.includes('wifi.passphrase'))
    assert.equal(statSync(join(cwd, 'pis', 'cluster.key')).mode & 0o777, 0o600)
    assert.match(said.stderr, /\n {2}cd pis\n {2}(?:piimage|curl) /)
    assert.match(said.stderr, new RegExp(`piimage flash --node ${cluster.nodes[0]?.name} DRIVE`))
    assert.equal(
      /images lock/.test(said.stderr),
      !(name in { basic: 1, demo: 1, 'feeder-diskless': 1, 'hypriot-k8s': 1, magi: 1 }),
      'images that nobody could pin are locked first',
    )
  })

test('nobody there and no flags: what can be guessed is guessed, what cannot names its flag', async (t) => {
  const cwd = home(t)
  const plain = await runPiimage(cwd, ['init', 'Sg-C 1!', '--template', 'mixed-arch'])
  assert.equal(plain.status, 0, plain.stderr)
  const cluster = await readCluster(join(cwd, 'Sg-C 1!', 'cluster.yaml'), { features, home: cwd })
  assert.equal(cluster.name, 'sg-c-1')
  assert.equal(cluster.nodes[0]?.user?.name, 'ops')

  writeFileSync(join(cwd, 'private'), makeEd25519Key(Buffer.alloc(32, 1), 'me').privateKey.reveal(), {
    mode: 0o600,
  })
  const cases: [args: string[], says: RegExp][] = [
    [['--template', 'magi'], /--wifi SSID/],
    [['--template', 'magi', '--wifi', 'attic'], /--wifi-passphrase-file FILE/],
    [
      ['--template', 'magi', '--wifi', 'attic', '--wifi-passphrase-file', 'none'],
      /--wifi-passphrase-file: there is no file none/,
    ],
    [['--template', 'magi', '--wifi', 'attic', '--wifi-country', 'Holland'], /--wifi-country "Holland"/],
    [['--template', 'mixed-arch', '--name', 'My Pis'], /--name "My Pis" is not a valid host name/],
    [['--template', 'mixed-arch', '--user', 'root'], /--user "root" can't be the user/],
    [['--template', 'mixed-arch', '--ssh-key', 'none.pub'], /--ssh-key: there is no file none\.pub/],
    [['--template', 'mixed-arch', '--ssh-key', 'attic.wifi'], /holds no key|is not a public SSH key/],
    [['--template', 'mixed-arch', '--ssh-key', 'private'], /--ssh-key: private is a private key/],
    [['--nodes', '2', '--wifi', 'attic', '--wifi-country', 'Holland'], /--wifi-country "Holland"/],
    [['--template', 'nonesuch'], /nonesuch/],
  ]
  for (const [args, says] of cases) {
    const said = await runPiimage(cwd, ['init', 'new', ...args])
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, says)
    assert.equal(existsSync(join(cwd, 'new')), false, 'nothing is left behind')
  }
})

test('without a key in ~/.ssh the error names --ssh-key; a key line will do', async (t) => {
  const cwd = tempFolder(t)
  const none = await runPiimage(cwd, ['init', 'new', '--template', 'feeder-diskless', '--yes'])
  assert.equal(none.status, 2)
  assert.match(none.stderr, /--ssh-key FILE/)
  const line = await runPiimage(cwd, [
    'init',
    'new',
    '--template',
    'feeder-diskless',
    '--ssh-key',
    publicLine,
  ])
  assert.equal(line.status, 0, line.stderr)
  const cluster = await readCluster(join(cwd, 'new', 'cluster.yaml'), { features, home: cwd })
  assert.deepEqual(cluster.nodes[0]?.user?.sshKeys, [publicLine])
})

test('somebody answers: template, key, Wi-Fi; the pass phrase is hidden and goes into a file of its own', async (t) => {
  const cwd = home(t)
  const asked: string[] = []
  const answers: [question: RegExp, answer: string, hidden?: boolean][] = [
    [/^What do you have\?\n.*\(basic\)\n/, '5'],
    [/^Who may log in\?.*\[~\/\.ssh\/id_ed25519\.pub\]/, ''],
    [/^Wi-Fi network/, 'attic'],
    [/^Country .*\[DE\]/, ''],
    [/^Pass phrase of attic/, PASSPHRASE, true],
  ]
  const said = await runPiimage(cwd, ['init', 'magi-1'], {
    ask: async (question, options) => {
      const [expected, answer, hidden = false] = answers[asked.length] ?? []
      asked.push(question)
      assert.match(question, expected ?? /no more questions/)
      assert.equal(options?.hidden ?? false, hidden, question)
      return answer
    },
  })
  assert.equal(said.status, 0, said.stderr)
  assert.equal(asked.length, answers.length)
  const folder = join(cwd, 'magi-1')
  assert.equal(readFileSync(join(folder, 'wifi.passphrase'), 'utf8'), `${PASSPHRASE}\n`)
  assert.equal(statSync(join(folder, 'wifi.passphrase')).mode & 0o777, 0o600)
  assert.ok(
    !`${said.stdout}${said.stderr}${readFileSync(join(folder, 'cluster.yaml'), 'utf8')}`.includes(PASSPHRASE),
  )
  assert.deepEqual((await readCluster(join(folder, 'cluster.yaml'), { features, home: cwd })).warnings, [])

  // Too short a pass phrase is asked for again, and not shown.
  const phrases = ['hunter2', PASSPHRASE]
  const again = await runPiimage(cwd, ['init', 'two', '--template', 'magi', '--wifi', 'attic'], {
    ask: async (question) => (/^Pass phrase/.test(question) ? phrases.shift() : ''),
  })
  assert.equal(again.status, 0, again.stderr)
  assert.match(again.stderr, /the pass phrase /)
  assert.ok(!again.stderr.includes('hunter2'))
})

/** A person at a terminal: answers in turn, each for the question that is really asked. */
function person(answers: [question: RegExp, answer: string][]) {
  const left = [...answers]
  return {
    left,
    ask: async (question: string) => {
      const [expected, answer] = left.shift() ?? []
      assert.match(question, expected ?? /no more questions/)
      return answer
    },
  }
}

test('the plain start: wrong answers are asked again, and the file is right', async (t) => {
  const cwd = home(t)
  const { ask, left } = person([
    [/^What do you have\?/, '9'],
    [/^What do you have\?/, 'some pis'],
    [/^What do you have\?/, ''],
    [/^How many boards/, '0'],
    [/^How many boards/, 'alpha, Beta'],
    [/^How many boards/, 'alpha alpha'],
    [/^How many boards/, 'alpha, beta gamma'],
    [/^Which board\?/, 'pi9'],
    [/^Which board\?/, 'pi4 pi5'],
    [/^Which board\?/, 'pi5 zero2w pi5'],
    [/^Which image\?.* Enter for raspios-trixie-arm64-lite@\S+, a download of \d/, ''],
    [/^Who may log in\?/, 'none.pub'],
    [/^Who may log in\?/, 'new'],
    [/^Wi-Fi network/, ''],
    [/^Wi-Fi network/, 'attic'],
    [/^Country /, 'nl'],
    [/^Pass phrase of attic/, PASSPHRASE],
  ])
  const said = await runPiimage(cwd, ['init', 'shelf'], { ask })
  assert.equal(said.status, 0, said.stderr)
  assert.deepEqual(left, [])
  for (const complaint of [
    /"9" is neither a number from 1 to \d/,
    /0 must be 1 to 250/,
    /"Beta" /,
    /names alpha twice/,
    /"pi9" is not a known board/,
    /2 boards for 3 nodes/,
    /there is no file none\.pub/,
  ])
    assert.match(said.stderr, complaint)
  const folder = join(cwd, 'shelf')
  const cluster = await readCluster(join(folder, 'cluster.yaml'), { features, home: cwd })
  assert.deepEqual(cluster.warnings, [])
  assert.deepEqual(
    cluster.nodes.map(({ name, model }) => [name, model]),
    [
      ['alpha', 'pi5'],
      ['beta', 'zero2w'],
      ['gamma', 'pi5'],
    ],
  )
  assert.deepEqual([cluster.nodes[1]?.wifi?.ssid, cluster.nodes[1]?.wifi?.country], ['attic', 'NL'])
  // The key that was made is a pair, the secret half for nobody else and not for git.
  const made = readFileSync(join(folder, 'id_ed25519.pub'), 'utf8').trim()
  assert.deepEqual(cluster.nodes[0]?.user?.sshKeys, [made])
  assert.equal(statSync(join(folder, 'id_ed25519')).mode & 0o777, 0o600)
  assert.match(readFileSync(join(folder, '.gitignore'), 'utf8'), /^id_ed25519$/m)
  assert.match(said.stderr, /sudo piimage flash --node alpha DRIVE/)
})

test('an image that somebody has already is locked as it is, by a flag or an answer', async (t) => {
  const cwd = home(t)
  mkdirSync(join(cwd, 'Downloads'))
  writeFileSync(join(cwd, 'Downloads', '2030-01-02-raspios-trixie-arm64-lite.img'), 'a system')
  const file = '~/Downloads/2030-01-02-raspios-trixie-arm64-lite.img'
  const { ask, left } = person([
    [/^What do you have\?/, ''],
    [/^How many boards/, '1'],
    [/^Which board\?/, ''],
    [/^Which image\?/, '~/Downloads/none.img'],
    [/^Which image\?/, file],
    [/^Who may log in\?/, ''],
    [/^Wi-Fi network, or Enter for none/, ''],
  ])
  const said = [
    await runPiimage(cwd, ['init', 'asked'], { ask }),
    await runPiimage(cwd, ['init', 'flag', '--nodes', '1', '--offline', '--image', file]),
  ]
  assert.deepEqual(left, [])
  assert.match(said[0]?.stderr ?? '', /neither a file nor a known image called ~\/Downloads\/none\.img/)
  for (const [index, folder] of ['asked', 'flag'].entries()) {
    assert.equal(said[index]?.status, 0, said[index]?.stderr)
    const text = readFileSync(join(cwd, folder, 'cluster.yaml'), 'utf8')
    assert.match(text, /^image: raspios-trixie-arm64-lite@2030-01-02$/m)
    assert.doesNotMatch(text, /wifi/)
    const listed = await runPiimage(join(cwd, folder), ['images', 'list'])
    assert.match(listed.stdout, /raspios-trixie-arm64-lite@2030-01-02 +newest +\S+ \S+ +a file here/)
  }
  // Called what the lock has, and another one.
  writeFileSync(join(cwd, '2026-09-15-raspios-trixie-arm64-lite.img'), 'another system')
  const other = ['init', 'other', '--nodes', '1', '--image', '2026-09-15-raspios-trixie-arm64-lite.img']
  const warned = await runPiimage(cwd, other)
  assert.equal(warned.status, 0, warned.stderr)
  assert.match(warned.stderr, /is not the raspios-trixie-arm64-lite@2026-09-15 that is pinned: its sha256 is/)
  assert.doesNotMatch(said[0]?.stderr ?? '', /that is pinned/)
  // Of the lock, by its short name; and none at all.
  const named = await runPiimage(cwd, ['init', 'named', '--image', 'raspios-bookworm-armhf-lite'])
  assert.equal(named.status, 0, named.stderr)
  assert.match(
    readFileSync(join(cwd, 'named', 'cluster.yaml'), 'utf8'),
    /^image: raspios-bookworm-armhf-lite@/m,
  )
  const wrong = await runPiimage(cwd, ['init', 'wrong', '--image', 'raspios-trixie-arm64-lit@2026-09-15'])
  assert.equal(wrong.status, 2)
  assert.match(wrong.stderr, /--image: there is neither .*\n.*raspios-trixie-arm64-lite@2026-09-15/)
  assert.equal(existsSync(join(cwd, 'wrong')), false)
})

test('Wi-Fi is asked once where boards have a cable too, and is in the file when it is answered', async (t) => {
  const cwd = home(t)
  const { ask, left } = person([
    [/^How many boards/, '2'],
    [/^Which image\?/, ''],
    [/^Who may log in\?/, ''],
    [/^Wi-Fi network, or Enter for none/, 'attic'],
    [/^Country /, 'NL'],
    [/^Pass phrase of attic/, PASSPHRASE],
  ])
  const said = await runPiimage(cwd, ['init', 'pis', '--template', 'basic', '--model', 'pi4'], { ask })
  assert.equal(said.status, 0, said.stderr)
  assert.deepEqual(left, [])
  const cluster = await readCluster(join(cwd, 'pis', 'cluster.yaml'), { features, home: cwd })
  assert.deepEqual(cluster.warnings, [])
  assert.deepEqual(
    cluster.nodes.map(({ wifi }) => wifi?.ssid),
    ['attic', 'attic'],
  )
  // No radio: nothing to ask.
  const wired = person([
    [/^Which image\?/, ''],
    [/^Who may log in\?/, ''],
  ])
  const flags = ['--template', 'basic', '--nodes', '1', '--model', 'pi2']
  assert.equal((await runPiimage(cwd, ['init', 'wired', ...flags], wired)).status, 0)
  assert.deepEqual(wired.left, [])
})

test('the time zone is this machine’s, and init says so', async (t) => {
  const cwd = home(t)
  const said = await runPiimage(cwd, ['init', 'pis', '--nodes', '1'])
  const [, zone = ''] = /^Time zone (\S+), as this machine has it/m.exec(said.stderr) ?? []
  assert.notEqual(zone, '')
  const cluster = await readCluster(join(cwd, 'pis', 'cluster.yaml'), { features, home: cwd })
  assert.equal(cluster.nodes[0]?.locale?.timezone, zone)
})

test('the plain start from flags is the same; boards that are 32-bit decide the image', async (t) => {
  const cwd = home(t)
  const images: [flags: string[], nodes: number, image: RegExp][] = [
    [[], 3, /^raspios-\w+-arm64-lite@/],
    [['--nodes', '5', '--model', 'pi5'], 5, /^raspios-\w+-arm64-lite@/],
    [['--nodes', 'a,b', '--model', 'pi4', '--model', 'zerow', ...wifiFlags], 2, /^raspios-\w+-armhf-lite@/],
  ]
  for (const [index, [flags, nodes, image]] of images.entries()) {
    const said = await runPiimage(cwd, ['init', `c${index}`, ...flags])
    assert.equal(said.status, 0, said.stderr)
    const cluster = await readCluster(join(cwd, `c${index}`, 'cluster.yaml'), { features, home: cwd })
    assert.equal(cluster.nodes.length, nodes)
    for (const node of cluster.nodes) assert.match(node.image, image)
  }
  const wrong: [flags: string[], says: RegExp][] = [
    [['--nodes', '300'], /--nodes 300 must be 1 to 250/],
    [['--nodes', 'a_b'], /--nodes "a_b" /],
    [['--model', 'pi44'], /--model "pi44" is not a known board\n.*pi4/],
    [['--nodes', '3', '--model', 'pi4', '--model', 'pi5'], /2 boards for 3 nodes/],
    [['--template', 'demo', '--nodes', '3'], /belong to the template basic/],
    [['--password'], /no terminal to ask on/],
    [['--password', '--ssh-key', 'new'], /exclude each other/],
  ]
  for (const [flags, says] of wrong) {
    const said = await runPiimage(cwd, ['init', 'new', ...flags])
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, says)
    assert.equal(existsSync(join(cwd, 'new')), false, 'nothing is left behind')
  }
})

test('a password: asked for twice, kept as a hash that crypt(3) takes', async (t) => {
  const cwd = home(t)
  const words = ['short', 'correct horse', 'correct house', 'correct horse', 'correct horse']
  const said = await runPiimage(cwd, ['init', 'pis', '--password'], {
    ask: async (question) => (/^(Password|Once more)/.test(question) ? words.shift() : ''),
  })
  assert.equal(said.status, 0, said.stderr)
  const text = readFileSync(join(cwd, 'pis', 'cluster.yaml'), 'utf8')
  const hash = /passwordHash: "(\$6\$([^$]+)\$[^"]+)"/.exec(text)
  assert.ok(hash, text)
  assert.equal(sha512crypt('correct horse', hash[2] ?? ''), hash[1])
  assert.ok(!`${said.stdout}${said.stderr}${text}`.includes('correct horse'))
  const cluster = await readCluster(join(cwd, 'pis', 'cluster.yaml'), { features, home: cwd })
  assert.deepEqual(cluster.nodes[0]?.user?.sshKeys, [])
})

test('what is there stays: cluster file, key, and lines of .gitignore', async (t) => {
  const cwd = home(t)
  const folder = join(cwd, 'old')
  mkdirSync(folder)
  const before = {
    'cluster.yaml': 'cluster: mine\n',
    'cluster.key': 'secret\n',
    '.gitignore':
      'build\r\ncluster.key\nwifi.passphrase\n.piimage-batch.json\nkubeconfig\n*.img\n*.img.*\n*.part\n*.tar\n*.password\n*.psk\n',
  }
  for (const [name, text] of Object.entries(before)) writeFileSync(join(folder, name), text)
  const said = await runPiimage(cwd, ['init', 'old', '--template', 'clusterhat', '--yes'])
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, /old\/cluster\.yaml is there already and stays as it is/)
  for (const [name, text] of Object.entries(before))
    assert.equal(readFileSync(join(folder, name), 'utf8'), text)

  // A folder with a key only: the key is kept, the rest is made.
  const half = join(cwd, 'half')
  mkdirSync(half)
  writeFileSync(join(half, 'cluster.key'), 'secret\n', { mode: 0o600 })
  assert.equal((await runPiimage(cwd, ['init', 'half', '--template', 'mixed-arch'])).status, 0)
  assert.equal(readFileSync(join(half, 'cluster.key'), 'utf8'), 'secret\n')
  assert.ok(existsSync(join(half, 'cluster.yaml')))
})

test('the schema is found where piimage is installed', async (t) => {
  const cwd = home(t)
  const installed = join(cwd, 'node_modules', 'piimage', 'schema', 'cluster.v1.json')
  mkdirSync(dirname(installed), { recursive: true })
  writeFileSync(installed, '{}')
  assert.equal((await runPiimage(cwd, ['init', join('a', 'b'), '--template', 'mixed-arch'])).status, 0)
  const [first = ''] = readFileSync(join(cwd, 'a', 'b', 'cluster.yaml'), 'utf8').split('\n')
  const path = first.replace(/^.*\$schema=/, '')
  assert.ok(existsSync(join(cwd, 'a', 'b', path)), path)
})

test('--json says what was made and what comes next', async (t) => {
  const said = await runPiimage(home(t), ['init', 'pis', '--template', 'feeder-diskless', '--json'])
  const result = said.events.at(-1) as { next: string[]; made: string[] }
  assert.deepEqual(result.next, [
    'piimage plan --all',
    'piimage drives',
    'sudo piimage flash --node cluster00 DRIVE',
  ])
  assert.equal(result.made.length, 3)
})

test('boards as people write them', () => {
  const written = 'Raspberry Pi 4, Pi 3B+ pi5; zero zero2w zero 2 w Zero W, Pi Zero 2W'.replace(';', '')
  const boards = ['pi4', 'pi3b+', 'pi5', 'zero', 'zero2w', 'zero2w', 'zerow', 'zero2w']
  assert.deepEqual(wordsOfBoards(written), boards)
})
