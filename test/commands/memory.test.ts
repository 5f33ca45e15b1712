/** Memory does not grow with the image: 4 GB, all of it written and read back. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  createReadStream,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { attachLoop, makeSparseFile } from '../support/loop.ts'
import { DEMO_IMAGE, DEMO_LAYOUT, demoProject, unpackDemo } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const SIZE = 4_000_000_000 - (4_000_000_000 % 4096)
const LIMIT_KIB = 300 * 1000

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Let the second partition reach to the image's end and hold nothing that could be skipped. */
function growSecondPartition(path: string): void {
  truncateSync(path, SIZE)
  const entry = Buffer.alloc(4)
  entry.writeUInt32LE((SIZE - DEMO_LAYOUT.root.offset) / 512)
  const file = openSync(path, 'r+')
  try {
    writeSync(file, entry, 0, 4, 446 + 16 + 12)
    writeSync(file, Buffer.alloc(64 * 1024), 0, 64 * 1024, DEMO_LAYOUT.root.offset)
  } finally {
    closeSync(file)
  }
}

test('flashing a 4 GB image stays under 300 MB', async (t) => {
  if (!needRoot(t) || needTool(t, 'xz', 'xz-utils') === undefined) return
  const project = demoProject(t)
  unpackDemo(project)
  growSecondPartition(project.file('stock.img'))
  const extracted = {
    size: SIZE,
    sha256: await digestOf(project.file('stock.img')),
    source: { kind: 'computed' },
  }
  assert.equal(run('xz', ['-0', '-T2', '--block-size=25165824', '-f', project.file('stock.img')]).status, 0)
  const packed = project.file('stock.img.xz')
  const download = {
    size: statSync(packed).size,
    sha256: await digestOf(packed),
    source: { kind: 'computed' },
  }
  const lock = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  Object.assign(lock.images[DEMO_IMAGE], { url: 'file:stock.img.xz', download, extracted })
  writeFileSync(project.file('images.lock.json'), JSON.stringify(lock))

  makeSparseFile(project.file('card'), SIZE)
  const loop = attachLoop(t, project.file('card'))
  const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
  const peak = project.file('peak')
  const recorder = `process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(peak)}, String(process.resourceUsage().maxRSS)))`
  writeFileSync(project.file('recorder.cjs'), recorder)
  const words = [
    'flash',
    '--node',
    `oneil=${loop}`,
    '--yes',
    // The card holds nothing but zeroes; here they are to be written.
    '--full',
    '--json',
    '--cache',
    join(project.folder, 'cache'),
  ]
  const child = spawnSync(process.execPath, ['--require', project.file('recorder.cjs'), cli, ...words], {
    cwd: project.folder,
    encoding: 'utf8',
  })
  assert.equal(child.status, 0, child.stderr)
  const flashed = child.stdout.split('\n').find((line) => line.includes('"event":"flashed"'))
  const { bytesWritten, bytesVerified } = JSON.parse(flashed ?? '{}')
  assert.ok(bytesWritten > SIZE * 0.95 && bytesVerified > SIZE * 0.95, flashed)
  const kib = Number(readFileSync(peak, 'utf8'))
  t.diagnostic(`peak RSS ${Math.round(kib / 1000)} MB, ${bytesWritten} bytes written and read back`)
  assert.ok(kib < LIMIT_KIB, `peak RSS is ${kib} KiB`)
})
