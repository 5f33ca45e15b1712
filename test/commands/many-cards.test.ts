/** Several cards at once: nothing bootable before the whole chain holds, and no card waits for another. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { failingCard } from '../support/bad-card.ts'
import { attachLoop } from '../support/loop.ts'
import { DEMO_IMAGE, DEMO_LAYOUT, demoProject, type Project, unpackDemo } from '../support/project.ts'
import { needRoot } from '../support/tools.ts'

const MiB = 1024 * 1024
const NODES = ['hammond', 'oneil', 'carter']

/** Change what the lock says of the image. */
function editLock(project: Project, edit: (image: { extracted: object; download: object }) => void): void {
  const path = project.file('images.lock.json')
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  edit(lock.images[DEMO_IMAGE])
  writeFileSync(path, JSON.stringify(lock))
}

const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0)

test('a wrong digest of the image, known only at its end: status 3, no card boots, nothing is kept', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  editLock(project, (image) => Object.assign(image.extracted, { sha256: 'ab'.repeat(32) }))
  const cards = NODES.map((node) => {
    writeFileSync(project.file(node), Buffer.alloc(DEMO_LAYOUT.length + MiB, 0xa5))
    return `${node}=${attachLoop(t, project.file(node))}`
  })
  const said = await project.piimage('flash', ...cards.flatMap((card) => ['--node', card]), '--yes')
  assert.equal(said.status, 3, said.stderr)
  assert.match(said.stderr, /abababab/)
  for (const node of NODES) assert.ok(isZero(readFileSync(project.file(node)).subarray(0, MiB)), node)
  assert.deepEqual(readdirSync(project.file('cache/images')), [])
})

test('a damaged block in the middle of the download: status 3 or 4, no card boots, nothing is kept', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  const packed = readFileSync(project.file('demo.img.xz'))
  const at = Math.floor(packed.length / 2)
  packed.writeUInt8(packed.readUInt8(at) ^ 0x10, at)
  writeFileSync(project.file('demo.img.xz'), packed)
  const sha256 = createHash('sha256').update(packed).digest('hex')
  editLock(project, (image) => Object.assign(image.download, { sha256 }))
  const cards = NODES.map((node) => {
    writeFileSync(project.file(node), Buffer.alloc(DEMO_LAYOUT.length + MiB, 0xa5))
    return `${node}=${attachLoop(t, project.file(node))}`
  })
  const said = await project.piimage('flash', ...cards.flatMap((card) => ['--node', card]), '--yes')
  assert.ok(said.status === 3 || said.status === 4, said.stderr)
  for (const node of NODES) {
    const head = readFileSync(project.file(node)).subarray(0, MiB)
    assert.ok(isZero(head) || head.every((byte) => byte === 0xa5), node)
  }
  assert.deepEqual(readdirSync(project.file('cache/images')), [])
})

test('one of three cards fails while it is written: the others are done, status 6, a table', async (t) => {
  const bad = await failingCard(t, 128 * MiB, 'pwrite')
  if (bad === undefined) return
  const project = demoProject(t)
  bad.startFailing()
  const good = ['hammond', 'carter'].map((node) => {
    writeFileSync(project.file(node), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
    return `${node}=${attachLoop(t, project.file(node))}`
  })
  const cards = [...good, `oneil=${bad.path}`]
  const said = await project.piimage('flash', ...cards.flatMap((card) => ['--node', card]), '--yes')
  assert.equal(said.status, 6, said.stderr)
  assert.match(said.stderr, /1 of 3 nodes failed: oneil/)
  assert.match(said.stderr, /^NODE +DRIVE +RESULT$/m)
  assert.match(said.stderr, /^oneil .*failed: .*EIO/m)
  for (const card of good) {
    const [node = '', drive = ''] = card.split('=')
    const checked = await project.piimage('inspect', drive, '--check', '--node', node)
    assert.equal(checked.status, 0, checked.stderr)
  }
})

test('--changed-only turns one node into another, to the same bytes as a fresh flash', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
  const loop = attachLoop(t, project.file('card'))
  const flash = async (...args: string[]) => {
    const said = await project.piimage('flash', '--node', ...args, '--yes', '--json')
    assert.equal(said.status, 0, said.stderr)
    return said.events.find(({ event }) => event === 'flashed') as Record<string, number>
  }
  const whole = await flash(`oneil=${loop}`)
  const changed = await flash(`carter=${loop}`, '--changed-only')
  const card = readFileSync(project.file('card'))
  const again = await flash(`carter=${loop}`, '--changed-only')
  assert.equal(again.bytesWritten, 0)
  await flash(`carter=${loop}`)
  assert.ok(card.equals(readFileSync(project.file('card'))))
  assert.equal(changed.bytesCompared, whole.bytesWritten)
  assert.ok((changed.bytesWritten as number) < 2 * MiB, `${changed.bytesWritten} bytes were written`)
})

test('--full writes what the file systems call free as well', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
  const loop = attachLoop(t, project.file('card'))
  const said = await project.piimage('flash', '--node', `oneil=${loop}`, '--yes', '--full')
  assert.equal(said.status, 0, said.stderr)
  const stock = unpackDemo(project)
  const card = readFileSync(project.file('card'))
  const { offset } = DEMO_LAYOUT.root
  assert.ok(card.subarray(offset).equals(stock.subarray(offset)))
})

test('as a program, several cards run with more threads, and a signal stops them all', async (t) => {
  const project = demoProject(t)
  mkdirSync(project.file('bin'))
  const program = join(import.meta.dirname, '../../src/cli.js')
  const args = NODES.flatMap((node) => ['--node', `${node}=${node}.img`])
  const child = spawn(process.execPath, [program, 'flash', ...args, '--cache', project.file('cache')], {
    cwd: project.folder,
    env: { ...process.env, UV_THREADPOOL_SIZE: undefined },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    // Once: the program passes it on.
    if (said === '') child.kill('SIGTERM')
    said += text
  })
  const status = await new Promise((resolve) => child.on('close', resolve))
  assert.equal(status, 130, said)
  assert.deepEqual(
    readdirSync(project.folder).filter((name) => /\.img$|\.part$/.test(name)),
    [],
  )
})
