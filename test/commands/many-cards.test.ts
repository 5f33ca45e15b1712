/** Several cards at once: nothing bootable before the whole chain holds, and no card waits for another. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
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

/** No partition table: blanked, or not touched yet. */
const isUnbootable = (card: string): boolean => {
  const head = readFileSync(card).subarray(0, MiB)
  return head.every((byte) => byte === 0) || head.every((byte) => byte === 0xa5)
}

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
  for (const node of NODES) assert.ok(isUnbootable(project.file(node)), node)
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
  for (const node of NODES) assert.ok(isUnbootable(project.file(node)), node)
  assert.deepEqual(readdirSync(project.file('cache/images')), [])
})

/** A server that sends `bytes` in small pieces. */
async function serveSlowly(t: TestContext, bytes: Buffer): Promise<string> {
  const server = createServer(async (_, response) => {
    response.writeHead(200, { 'content-length': bytes.length, etag: '"one"' })
    for (let at = 0; at < bytes.length; at += 1000) {
      response.write(bytes.subarray(at, at + 1000))
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/demo.img.xz`
}

for (const isWrong of [false, true]) {
  test(`unpacked and written while it is downloaded: ${isWrong ? 'wrong bytes, status 3, no card boots, nothing is kept' : 'verified cards'}`, async (t) => {
    if (!needRoot(t)) return
    const project = demoProject(t)
    const packed = readFileSync(project.file('demo.img.xz'))
    // The last bytes are part of the index: all blocks are unpacked before anyone can see it.
    if (isWrong) packed.writeUInt8(packed.readUInt8(packed.length - 20) ^ 1, packed.length - 20)
    const url = await serveSlowly(t, packed)
    editLock(project, (image) => Object.assign(image, { url }))
    const cards = NODES.map((node) => {
      writeFileSync(project.file(node), Buffer.alloc(DEMO_LAYOUT.length + MiB, 0xa5))
      return `${node}=${attachLoop(t, project.file(node))}`
    })
    const said = await project.piimage('flash', ...cards.flatMap((card) => ['--node', card]), '--yes')
    assert.equal(said.status, isWrong ? 3 : 0, said.stderr)
    for (const node of NODES) {
      if (isWrong) assert.ok(isUnbootable(project.file(node)), node)
      else assert.equal(readFileSync(project.file(node)).readUInt16LE(510), 0xaa55, node)
    }
    assert.equal(readdirSync(project.file('cache/images')).length, isWrong ? 0 : 2)
    assert.equal(readdirSync(project.file('cache/downloads')).length, isWrong ? 0 : 1)
  })
}

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
