/** The README and docs/: every link leads somewhere, and every command line is one that piimage takes. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseKey } from '../../src/catalog/names.ts'
import { parse } from '../../src/cli.ts'
import { readCluster } from '../../src/cluster/cluster-file.ts'
import { features } from '../../src/features/index.ts'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { goldenProject, lockEntry, makeStandIn, writeLock } from '../golden/project.ts'
import { runPiimage } from '../support/project.ts'
import { formatClusterKeys } from './cluster-keys.ts'
import { shellLines } from './shell-lines.ts'

const root = packageRoot()
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
  'examples/README.md',
  'firstboot/README.md',
  'overlays/README.md',
  'bench/README.md',
]
const read = (page: string): string => readFileSync(join(root, page), 'utf8')

test('the first page is short', () => {
  assert.ok(statSync(join(root, 'README.md')).size <= 12_000)
})

test('every link leads to a file, and to a heading of it', () => {
  const anchors = (page: string): string[] =>
    [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[`*]|[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    )
  for (const page of pages)
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      assert.ok(existsSync(join(root, file)), `${page} → ${target}`)
      if (anchor !== undefined) assert.ok(anchors(file).includes(anchor), `${page} → ${target}`)
    }
})

test('every key of the cluster file stands on its page (UPDATE=1 writes it)', () => {
  const file = join(root, 'docs/cluster-file.md')
  const text = readFileSync(file, 'utf8')
  const [before, after] = [text.indexOf('<!-- keys -->\n') + 14, text.indexOf('<!-- /keys -->')]
  assert.ok(before > 14 && after >= before, 'both markers are there')
  const table = formatClusterKeys()
  if (process.env.UPDATE === '1') writeFileSync(file, text.slice(0, before) + table + text.slice(after))
  assert.equal(text.slice(before, after), table)
})

test('every message that troubleshooting explains is one that the program says', () => {
  const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
    .join('\n')
  const rows = [...read('docs/troubleshooting.md').matchAll(/^\| `([^`]+)` \|/gm)].map(
    ([, text = '']) => text,
  )
  assert.ok(rows.length > 15)
  for (const row of rows)
    for (const piece of row.split('…').map((text) => text.trim()))
      assert.ok(piece === '' || source.includes(piece), `${row}: nothing says ${JSON.stringify(piece)}`)
})

test('the cluster file of the README has no mistake in it', async (t) => {
  const { file } = goldenProject(t, 'readme')
  mkdirSync(file('.ssh'), { recursive: true })
  writeFileSync(file('.ssh/id_ed25519.pub'), `${makeEd25519Key(Buffer.alloc(32, 1), 'me').publicLine}\n`)
  const blocks = ['README.md', 'docs/cluster-file.md'].flatMap((page) =>
    [...read(page).matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text),
  )
  assert.equal(blocks.length, 2)
  for (const text of blocks) {
    writeFileSync(file('cluster.yaml'), text)
    const { warnings } = await readCluster(file('cluster.yaml'), { features, home: file('.') })
    assert.deepEqual(warnings, [])
  }
})

/** What stands in a sentence, whole: with a verb, and nothing left out of it. */
const inlineLines = (page: string): string[] =>
  [...read(page).matchAll(/`((?:sudo )?piimage [a-z]+ [^`\n]+)`/g)].flatMap(([, line = '']) =>
    /[[<…{]|\b[A-Z]+$.*=|--template$/.test(line) ? [] : line,
  )

/** Other programs on the pages, and why none of them is run here. */
const elsewhere: Record<string, string> = {
  cd: 'a step between others',
  npm: 'what runs this test, and what test/packaging installs from',
  node: 'measurements, which want a machine for themselves',
  ssh: 'wants a board; cards that were booted are logged in to in test/boot',
  scp: 'wants a board',
  curl: 'wants the internet; test/examples stands in for what it fetches',
  sha256sum: 'checks what curl has fetched',
  docker: 'wants a swarm; test/swarm has one',
  kubectl: 'wants a Kubernetes',
  journalctl: 'wants a service that runs',
  'rpi-imager': 'wants a screen; test/bake/imager.test.ts does to an image what it does',
  systemctl: 'wants a server of diskless nodes',
  truncate: 'part of enlarging a storage image, on a server of diskless nodes',
  e2fsck: 'the same',
  mount: 'the same',
  resize2fs: 'the same',
  umount: 'the same',
  VAR: 'a variable before a command',
}

test('every command line of piimage is one that it takes; every other program is known', async () => {
  const wrong: string[] = []
  let count = 0
  for (const page of pages)
    for (const line of [...shellLines(page), ...inlineLines(page)]) {
      const words = line.replace(/^sudo /, '').split(/\s+/)
      if (words[0] !== 'piimage') {
        if (!Object.keys(elsewhere).some((name) => words[0] === name || /^[A-Z_]+=/.test(words[0] ?? '')))
          wrong.push(`${page}: ${line}: why is ${words[0]} not run?`)
        continue
      }
      count++
      await parse(words.slice(1)).catch((error: Error) => wrong.push(`${page}: ${line}: ${error.message}`))
    }
  assert.deepEqual(wrong, [])
  assert.ok(count > 40, `${count} command lines`)
})

test('the README’s first real card, and every change a month later, as their pages have them', async (t) => {
  const project = goldenProject(t, 'home')
  const home = project.file('.')
  mkdirSync(join(home, '.ssh'), { recursive: true })
  writeFileSync(
    join(home, '.ssh/id_ed25519.pub'),
    `${makeEd25519Key(Buffer.alloc(32, 1), 'me').publicLine}\n`,
  )
  const folder = join(home, 'home')
  const runLine = async (line: string) => {
    const words = line
      .replace(/^sudo /, '')
      .replaceAll('/dev/sdX', join(folder, 'card.img'))
      .replaceAll('NEWNAME', 'pi1')
      .split(/\s+/)
      .slice(1)
    const cwd = existsSync(folder) ? folder : home
    return runPiimage(cwd, [...words, ...(words[0] === 'init' ? [] : ['--yes', '--offline'])])
  }
  /** The image of the new file becomes a small one of the same layout; nodes are added as the page says. */
  const standIn = async () => {
    // Here a person's home is where they are.
    cpSync(join(home, '.ssh'), join(folder, '.ssh'), { recursive: true })
    const file = join(folder, 'cluster.yaml')
    const text = readFileSync(file, 'utf8')
    const image = /^image: (\S+)$/m.exec(text)?.[1] ?? ''
    const bytes = await makeStandIn({ boot: 'trixie', root: 'networkmanager' })
    writeFileSync(join(folder, 'stock.img'), bytes)
    writeLock(
      { ...project, file: (name: string) => join(folder, name) },
      { [image]: lockEntry(parseKey(image) ?? {}, 'stock.img', bytes) },
    )
    writeFileSync(
      file,
      text
        .replace(
          /^ {2}pi2: \{\}$/m,
          "  pi2: { boot: net, mac: 'b8:27:eb:00:00:02', address: 192.168.1.52/24 }\n  pi4: {}",
        )
        .replace(/^nodes:$/m, 'network: { cidr: 192.168.1.0/24 }\nnetroot: { server: pi1 }\nnodes:')
        .replace(/^ {2}pi1: \{\}$/m, '  pi1: { address: 192.168.1.51/24 }'),
    )
  }

  /** What can't be done here, and what is said then. */
  const refused: [line: RegExp, status: number, says: RegExp][] = [
    [/images lock/, 3, /--offline/],
    [/piimage join/, 2, /swarm/],
    [/netroot --apply/, 7, /./],
    [/netroot rollback/, 7, /./],
    [/piimage drives/, 0, /./],
    [/piimage boot/, 7, /there is no system on it/],
  ]
  const done: string[] = []
  for (const line of [
    ...shellLines('README.md').filter((text) => !/^npm/.test(text)),
    ...shellLines('docs/change.md'),
  ]) {
    if (!/^(sudo )?piimage /.test(line)) continue
    const said = await runLine(line)
    const [, status = 0, says = /^/] = refused.find(([pattern]) => pattern.test(line)) ?? []
    assert.equal(said.status, status, `${line}\n${said.stdout}${said.stderr}`)
    assert.match(`${said.stdout}${said.stderr}`, says, line)
    done.push(line)
    if (/ init /.test(line)) await standIn()
  }
  assert.ok(done.length >= 12, done.join('\n'))
})
