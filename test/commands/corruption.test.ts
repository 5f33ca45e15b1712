/** One flipped byte, anywhere: it is caught, with the right status, and the card does not boot. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { figure } from '../support/figures.ts'
import { attachLoopDevice, detachLoopDevice } from '../support/loop.ts'
import { patternNumbers } from '../support/pattern.ts'
import { DEMO_LAYOUT, demoProject, type Project } from '../support/project.ts'
import { needRoot } from '../support/tools.ts'

const TRIES = 20
const MiB = 1024 * 1024

function flipByte(path: string, offset: number): void {
  const fd = openSync(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    readSync(fd, byte, 0, 1, offset)
    byte.writeUInt8(byte.readUInt8() ^ 0x40)
    writeSync(fd, byte, 0, 1, offset)
  } finally {
    closeSync(fd)
  }
}

async function onLoop<Value>(project: Project, use: (loop: string) => Promise<Value>): Promise<Value> {
  const loop = attachLoopDevice(project.file('card'))
  try {
    return await use(loop)
  } finally {
    detachLoopDevice(loop)
  }
}

const firstMiB = (project: Project): Buffer => readFileSync(project.file('card')).subarray(0, MiB)
const empty = Buffer.alloc(MiB)

test(`a flipped byte of the download, at ${TRIES} places: status 3, nothing written`, async (t) => {
  const project = demoProject(t)
  const whole = readFileSync(project.file('demo.img.xz'))
  for (const offset of patternNumbers('download', TRIES, whole.length)) {
    writeFileSync(project.file('demo.img.xz'), whole)
    flipByte(project.file('demo.img.xz'), offset)
    const said = await project.piimage('flash', '--node', 'oneil=oneil.img')
    assert.equal(said.status, 3, `byte ${offset}: ${said.stderr}`)
    assert.match(said.stderr, /sha256 of .* is [0-9a-f]{64}/)
    assert.ok(!readdirSync(project.folder).some((name) => name.startsWith('oneil')), `byte ${offset}`)
  }
  figure(t, 'flipped bytes', TRIES)
})

test(`a flipped byte of the unpacked image, at ${TRIES} places: status 3, and the card does not boot`, async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  assert.equal((await project.piimage('images', 'fetch', '--all')).status, 0)
  const [name] = readdirSync(project.file('cache/images')).filter((file) => file.endsWith('.img'))
  const unpacked = project.file(`cache/images/${name}`)
  const whole = readFileSync(unpacked)
  for (const offset of patternNumbers('unpacked', TRIES, whole.length)) {
    writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
    await project.piimage('images', 'fetch', '--all')
    flipByte(unpacked, offset)
    const said = await onLoop(project, (loop) => project.piimage('flash', '--node', `oneil=${loop}`, '--yes'))
    // A byte of the file systems' own structures can make them unreadable before any digest is due.
    assert.ok(
      said.status === 3 || (said.status === 4 && /FAT|ext4|partition/.test(said.stderr)),
      `byte ${offset}: ${said.status} ${said.stderr}`,
    )
    const head = firstMiB(project)
    assert.ok(
      head.equals(empty) || head.every((byte) => byte === 0xa5),
      `byte ${offset}: the card has no partition table`,
    )
  }
  figure(t, 'flipped bytes', TRIES)
})

test(`a flipped byte on the card after writing, at ${TRIES} places: status 5 with offset and length, and the card does not boot`, async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  // Where something is written: the demo's first megabytes of FAT, and the start of ext4.
  const places = patternNumbers('card', TRIES, 256 * 1024).map((offset, index) =>
    index % 2 === 0 ? DEMO_LAYOUT.boot.offset + 64 * 1024 + offset : DEMO_LAYOUT.root.offset + offset,
  )
  for (const offset of places) {
    writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
    let flipped = false
    // Between writing and reading back: the medium changes under the tool.
    const flip = (text: string) => {
      if (flipped || !text.includes('"phase":"verify"')) return
      flipped = true
      flipByte(project.file('card'), offset)
    }
    const said = await onLoop(project, (loop) =>
      project.piimageWatched(flip, 'flash', '--node', `oneil=${loop}`, '--yes', '--json'),
    )
    assert.ok(flipped)
    assert.equal(said.status, 5, `byte ${offset}: ${said.stderr}`)
    assert.match(said.stderr, new RegExp(`in 1 byte at offset ${offset}\\b`))
    assert.ok(firstMiB(project).equals(empty), `byte ${offset}: the first MiB is empty`)
  }
  figure(t, 'flipped bytes', TRIES)
})

test('a byte that flips once after writing: only its range is written again, and the person is told', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length, 0xa5))
  const offset = DEMO_LAYOUT.boot.offset + 65_000
  let flipped = false
  const flip = (text: string) => {
    if (flipped || !text.includes('"phase":"verify"')) return
    flipped = true
    flipByte(project.file('card'), offset)
  }
  const said = await onLoop(project, async (loop) => {
    const flashed = await project.piimageWatched(
      flip,
      'flash',
      '--node',
      `oneil=${loop}`,
      '--yes',
      '--json',
      '--retries',
      '2',
    )
    assert.equal((await project.piimage('inspect', loop, '--check')).status, 0)
    return flashed
  })
  assert.ok(flipped)
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, new RegExp(`warning: .* gave back 1 bytes? at ${offset} wrong once`))
})
