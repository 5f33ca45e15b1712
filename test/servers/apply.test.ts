/** Files put under a prefix, checked by the real checkers, put back and taken away. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { InterruptedError, NetrootError } from '../../src/errors.ts'
import { applyServers } from '../../src/servers/apply.ts'
import { diffServers } from '../../src/servers/diff-files.ts'
import { removeServers } from '../../src/servers/remove.ts'
import { renderServers } from '../../src/servers/render.ts'
import {
  DNSMASQ_FILE,
  EXPORTS_FILE,
  RESERVATIONS_FILE,
  type ServerFile,
} from '../../src/servers/server-file.ts'
import { figure } from '../support/figures.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { overlayOf, STATE, servedCluster, servedNode } from './served-cluster.ts'
import { snapshot } from './snapshot.ts'

const files = renderServers(servedCluster())
const task = recordTask()

/** A machine with other people's files. */
function machine(t: TestContext): string {
  const prefix = join(tempFolder(t), 'p')
  mkdirSync(join(prefix, 'etc/exports.d'), { recursive: true, mode: 0o750 })
  mkdirSync(join(prefix, 'srv'))
  writeFileSync(join(prefix, 'etc/exports'), '/home 192.0.2.1(ro,no_subtree_check)\n')
  writeFileSync(join(prefix, 'etc/exports.d/home.exports'), '# none\n', { mode: 0o600 })
  return prefix
}

const options = (prefix: string) => ({ prefix, stateFolder: STATE, start: false })
/** The state folder belongs to whoever lays nodes out. */
const outside = (prefix: string) => snapshot(prefix, ['srv'])

test('applied, applied again, removed: nothing changes twice, and nothing stays', async (t) => {
  const prefix = machine(t)
  const before = outside(prefix)
  const applied = await applyServers(files, options(prefix), task)
  assert.deepEqual(
    applied.written,
    files.map(({ path }) => path),
  )
  for (const { path, content, mode } of files) {
    assert.equal(readFileSync(prefix + path, 'utf8'), content)
    assert.equal(statSync(prefix + path).mode & 0o7777, mode)
    assert.equal(statSync(dirname(prefix + path)).mode & 0o022, 0, 'nobody else writes there')
  }
  const after = outside(prefix)
  const times = () => files.map(({ path }) => statSync(prefix + path).mtimeMs)
  const written = times()
  assert.deepEqual((await applyServers(files, options(prefix), task)).written, [])
  assert.deepEqual(outside(prefix), after)
  assert.deepEqual(times(), written)
  const removed = await removeServers({ prefix, stateFolder: STATE }, task)
  assert.deepEqual(removed, { removed: files.map(({ path }) => path), kept: [], stopped: [] })
  assert.deepEqual(outside(prefix), before)
  assert.deepEqual((await removeServers({ prefix, stateFolder: STATE }, task)).removed, [])
})

test('a umask that shuts everybody out does not shut the servers out', async (t) => {
  const prefix = machine(t)
  const umask = process.umask(0o077)
  t.after(() => process.umask(umask))
  await applyServers(files, options(prefix), task)
  assert.equal(statSync(prefix + RESERVATIONS_FILE).mode & 0o777, 0o644)
  assert.equal(statSync(dirname(prefix + RESERVATIONS_FILE)).mode & 0o777, 0o755)
})

const broken: {
  name: string
  tool: [string, string]
  root: boolean
  path: string
  line: string
  says: RegExp
}[] = [
  {
    name: 'a setting that dnsmasq does not know',
    tool: ['dnsmasq', 'dnsmasq-base'],
    root: false,
    path: DNSMASQ_FILE,
    line: 'dhcp-rnage=10.3.50.0,static',
    says: /dnsmasq does not take its settings: .*piimage-netroot\.conf/,
  },
  {
    name: 'a reservation that dnsmasq does not take',
    tool: ['dnsmasq', 'dnsmasq-base'],
    root: false,
    path: RESERVATIONS_FILE,
    line: 'dc:a6:32:00:00:77,10.3.50.11,twin',
    says: /dnsmasq does not take its settings: .*10\.3\.50\.11/,
  },
  {
    name: 'an export that exportfs does not take',
    tool: ['exportfs', 'nfs-kernel-server'],
    root: true,
    path: EXPORTS_FILE,
    line: '/srv 10.3.50.11(rw,wrong)',
    says: /exportfs does not take the exports: .*unknown keyword "wrong"/,
  },
]
for (const { name, tool, root, path, line, says } of broken)
  test(`${name}: everything is as before, byte for byte`, async (t) => {
    if (needTool(t, ...tool) === undefined || (root && !needRoot(t))) return
    const worse = files.map(
      (file): ServerFile => (file.path === path ? { ...file, content: `${file.content}${line}\n` } : file),
    )
    const fresh = machine(t)
    const bare = snapshot(fresh)
    const refused = (error: unknown) =>
      error instanceof NetrootError && says.test(error.message) && error.exitCode === 7
    await assert.rejects(applyServers(worse, options(fresh), task), refused)
    const state = (prefix: string) => snapshot(prefix, ['srv/piimage'])
    assert.deepEqual(state(fresh), bare)

    const earlier = renderServers(servedCluster({ nodes: [servedNode(4)] }))
    const prefix = machine(t)
    await applyServers(earlier, options(prefix), task)
    const applied = snapshot(prefix)
    await assert.rejects(applyServers(worse, options(prefix), task), refused)
    assert.deepEqual(snapshot(prefix), applied, 'the record too')
  })

test('stopped in the middle: everything is as before', async (t) => {
  const prefix = machine(t)
  const before = outside(prefix)
  const stop = new AbortController()
  const run = async () => {
    stop.abort(new InterruptedError('stopped'))
    return { status: 0, stdout: '', stderr: '' }
  }
  await assert.rejects(
    applyServers(files, { ...options(prefix), run }, { signal: stop.signal }),
    InterruptedError,
  )
  assert.deepEqual(outside(prefix), before)
})

test('files that are no longer wanted go; those changed by hand are kept and named', async (t) => {
  const prefix = machine(t)
  const overlays = [4, 5].map((number) => servedNode(number, { overlay: overlayOf(`node0${number}`) }))
  await applyServers(renderServers(servedCluster({ nodes: overlays })), options(prefix), task)
  const unit = (folder: string) => `/etc/systemd/system/srv-piimage-${folder}.mount`
  const mine = unit('nodes-node05-root')
  const images = ['node04-own', 'node04-volume', 'node05-own', 'node05-volume', 'node04-root']
  const gone = [unit('generations-g1-root'), ...images.map((name) => unit(`nodes-${name}`))]
  appendFileSync(prefix + mine, '# mine\n')
  const preview = await diffServers(files, options(prefix))
  assert.deepEqual(
    preview.filter(({ kind }) => kind === 'gone').map(({ path }) => path),
    gone,
  )
  const applied = await applyServers(files, options(prefix), task)
  assert.deepEqual([applied.taken, applied.kept], [gone, [mine]])
  const removed = await removeServers({ prefix, stateFolder: STATE }, task)
  assert.deepEqual(removed.kept, [mine])
  assert.match(readFileSync(prefix + mine, 'utf8'), /# mine\n$/)
})

const inTheWay: { name: string; put: (path: string) => void; says: RegExp }[] = [
  {
    name: "somebody's file",
    put: (path) => writeFileSync(path, 'port=53\n'),
    says: /no record of having written it/,
  },
  { name: 'a link', put: (path) => symlinkSync('/etc/passwd', path), says: /is not a plain file/ },
  { name: 'a folder', put: (path) => mkdirSync(path), says: /is not a plain file/ },
]
for (const { name, put, says } of inTheWay)
  test(`${name} where a file belongs: refused, and nothing is written`, async (t) => {
    const prefix = machine(t)
    mkdirSync(join(prefix, 'etc/dnsmasq.d'))
    put(prefix + DNSMASQ_FILE)
    const before = snapshot(prefix)
    await assert.rejects(
      applyServers(files, options(prefix), task),
      (error) => error instanceof NetrootError && says.test(error.message),
    )
    assert.deepEqual(snapshot(prefix), before)
  })

test('a file changed by hand is not overwritten, and is kept by remove', async (t) => {
  const prefix = machine(t)
  await applyServers(files, options(prefix), task)
  appendFileSync(prefix + DNSMASQ_FILE, 'cache-size=0\n')
  const next = renderServers(servedCluster({ network: { cidr: '10.3.50.0/24', dns: ['9.9.9.9'] } }))
  await assert.rejects(applyServers(next, options(prefix), task), /was changed by hand/)
  const removed = await removeServers({ prefix, stateFolder: STATE }, task)
  assert.deepEqual(removed.kept, [DNSMASQ_FILE])
  assert.match(readFileSync(prefix + DNSMASQ_FILE, 'utf8'), /cache-size=0\n$/)
})

test('diff: patch(1) makes of the old files the new ones', async (t) => {
  if (needTool(t, 'patch', 'patch') === undefined) return
  const prefix = machine(t)
  await applyServers(files, options(prefix), task)
  const next = renderServers(
    servedCluster({ nodes: [servedNode(2), servedNode(5, { overlay: overlayOf('node05') })] }),
  )
  const changes = await diffServers(next, options(prefix))
  assert.deepEqual([...new Set(changes.map(({ kind }) => kind))].sort(), ['changed', 'gone', 'new', 'same'])
  const patched = run('patch', ['-p1', '-s', '-d', prefix], {
    input: changes.map(({ diff }) => diff).join(''),
  })
  assert.equal(patched.stdout, '')
  for (const { path, content } of next) assert.equal(readFileSync(prefix + path, 'utf8'), content)
})

test('killed at any moment: the next run completes, and remove still leaves nothing', async (t) => {
  const program = join(import.meta.dirname, 'apply-program.js')
  const prefix = machine(t)
  const before = outside(prefix)
  const moments = [1, 2, 3, 5, 8, 13, 21, 34]
  for (const reports of moments) {
    const child = spawn(process.execPath, [program, prefix], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // What it leaves there goes with the test.
      env: { ...process.env, TMPDIR: dirname(prefix) },
    })
    let seen = 0
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.length
      if (seen >= reports) child.kill('SIGKILL')
    })
    await once(child, 'close')
    assert.equal(child.signalCode, 'SIGKILL')
    await applyServers(files, options(prefix), task)
    for (const { path, content } of files) assert.equal(readFileSync(prefix + path, 'utf8'), content)
    await removeServers({ prefix, stateFolder: STATE }, task)
    assert.deepEqual(outside(prefix), before)
  }
  figure(t, 'kills', moments.length)
})
