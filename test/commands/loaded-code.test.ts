/**
 * No command loads what it doesn't use: start-up is most of what a short command takes, and a fault in a
 * package must not reach the commands that have nothing to do with it. V8's coverage lists every module of a
 * process, packages, workers and all.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from '../../src/commands/list.ts'
import { packageRoot } from '../../src/package-root.ts'
import { demoProject, type Project } from '../support/project.ts'

const build = join(import.meta.dirname, '../..')

/** Packages by what they are for. */
const packages: Record<string, string> = {
  ajv: 'schemas',
  'fast-deep-equal': 'schemas',
  'fast-uri': 'schemas',
  'json-schema-traverse': 'schemas',
  '@napi-rs/lzma': 'xz',
  re2js: 'schemas',
  'xz-decompress': 'xz',
  yaml: 'yaml',
  openpgp: 'signatures',
  yauzl: 'zip',
  'buffer-crc32': 'zip',
  pend: 'zip',
}
/** Every other package is yargs or one of those it needs. */
const purposeOf = (name: string): string => packages[name] ?? 'arguments'

const PUBLIC_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe demo@piimage\n'

interface Use {
  args: string[]
  /** Rooms of src/ and purposes of packages that it needs; `commands`, `work`, `report` and `arguments` always. */
  needs: string
  /** Status it ends with; default 0. */
  status?: number
}

/** What reads a cluster file, its lock and its overlays. */
const cluster = 'catalog cluster customise features fetch io schemas secrets yaml'
/** What plans a boot partition. */
const boot = 'boot disk firmware node systems'
/** What looks at a card as its board does. */
const check = 'rehearsal root'

/** A cheap real use of each command, in an order in which they find what they need. */
const uses: Record<string, Use> = {
  '--help': { args: ['--help'], needs: '' },
  completion: { args: ['completion', 'bash'], needs: '' },
  drives: { args: ['drives'], needs: 'drives fetch io' },
  init: { args: ['init', 'new', '--ssh-key', 'key.pub'], needs: `${cluster} drives` },
  'images list': { args: ['images', 'list'], needs: cluster },
  'images fetch': { args: ['images', 'fetch', '--all'], needs: `${cluster} disk unpack xz` },
  plan: { args: ['plan', '--node', 'oneil'], needs: `${cluster} ${boot} ${check}` },
  flash: {
    args: ['flash', '--node', 'oneil=oneil.img', '--yes'],
    needs: `${cluster} ${boot} ${check} drives flash`,
  },
  customise: {
    args: ['customise', 'oneil.img', '--node', 'carter'],
    needs: `${cluster} ${boot} ${check} drives flash`,
  },
  inspect: {
    args: ['inspect', 'oneil.img'],
    needs: `cluster customise ${boot} ${check} drives io unpack yaml`,
  },
  bake: { args: ['bake', '--node', 'oneil', '-o', 'baked'], needs: `${cluster} bake ${boot} ${check}` },
  export: { args: ['export', 'hosts'], needs: `${cluster} export` },
  // Nothing is laid out there.
  'netroot verify': {
    args: ['netroot', 'verify', '--prefix', 'nowhere', '--offline'],
    needs: `${cluster} firmware netroot rehearsal root servers`,
    status: 7,
  },
  // No ssh is found, so nobody is asked.
  status: { args: ['status', '--node', 'oneil'], needs: `${cluster} export`, status: 2 },
  join: { args: ['join', '--node', 'oneil'], needs: `${cluster} export`, status: 2 },
  // There is no system on it, which needs no QEMU to be seen.
  boot: {
    args: ['boot', 'oneil'],
    needs: `${cluster} ${boot} ${check} drives emulator export unpack`,
    status: 7,
  },
  station: {
    args: ['station', '--service', '--listen', '127.0.0.1:4711'],
    needs: `${cluster} ${boot} ${check} drives flash station unpack`,
  },
}

test('every command has its line here', () => {
  const covered = new Set(Object.keys(uses).map((name) => name.split(' ', 1)[0]))
  for (const { name } of commands) assert.ok(covered.has(name), `what ${name} loads is not checked`)
})

test('no command loads what it does not use', (t) => {
  const project = demoProject(t)
  writeFileSync(project.file('key.pub'), PUBLIC_KEY)
  const surplus: Record<string, string[]> = {}
  for (const [name, use] of Object.entries(uses)) {
    const loaded = runAndList(project, name, use)
    const needed = new Set(['arguments', 'commands', 'report', 'work', ...use.needs.split(' ')])
    const extra = [...loaded].filter(([part]) => !needed.has(part)).map(([, file]) => file)
    if (extra.length > 0) surplus[name] = extra
  }
  assert.deepEqual(surplus, {})
})

test('an image that is unpacked already needs no decoder, and a packed one only its own', (t) => {
  const project = demoProject(t)
  const [cold, warm] = ['images fetch', 'plan'].map((name) => {
    const { args } = uses[name] as Use
    return runAndList(project, name, { args, needs: '' })
  })
  assert.ok(cold?.has('xz') && !cold.has('zip'))
  assert.ok(!warm?.has('unpack') && !warm?.has('xz'))
})

/** Run it as a program. @returns a file of each part of the code that it loaded */
function runAndList(project: Project, name: string, { args, status = 0 }: Use): Map<string, string> {
  const coverage = project.file(`coverage ${name}`)
  const flags = name === '--help' ? [] : ['--cache', project.file('cache'), '--cluster', 'cluster.yaml']
  const ended = spawnSync(process.execPath, [join(build, 'src/cli.js'), ...args, ...flags], {
    cwd: project.folder,
    env: { HOME: project.folder, PATH: '', NODE_V8_COVERAGE: coverage },
    encoding: 'utf8',
  })
  assert.equal(ended.status, status, `${name}: ${ended.stderr}`)
  const loaded = new Map<string, string>()
  for (const file of readdirSync(coverage)) {
    const { result } = JSON.parse(readFileSync(join(coverage, file), 'utf8')) as { result: { url: string }[] }
    for (const { url } of result) {
      const part = url.startsWith('file:') ? partOf(fileURLToPath(url)) : undefined
      if (part !== undefined && !loaded.has(part)) loaded.set(part, relative(build, fileURLToPath(url)))
    }
  }
  assert.ok(loaded.has('arguments'), `${name}: nothing was listed`)
  return loaded
}

/** The room or the purpose of the package; undefined: the shared words at the top of src/. */
function partOf(path: string): string | undefined {
  const inside = relative(packageRoot(), path)
  const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(inside)?.[1]
  if (name !== undefined) return purposeOf(name)
  const [room, file] = relative(join(build, 'src'), path).split('/')
  return file === undefined ? undefined : room
}
