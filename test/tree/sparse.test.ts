/** Files with holes in archives of every form, packed by GNU tar and bsdtar; Python's tarfile and GNU tar say what is in them. */
import assert from 'node:assert/strict'
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FormatError } from '../../src/errors.ts'
import { extractArchive } from '../../src/tree/extract-archive.ts'
import { recordTask } from '../support/task.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const KiB = 1024

/** Offsets of data, each a run of 4 KiB, and the size of the whole file. */
const shapes: Record<string, { runs: number[]; size: number }> = {
  'data at both ends': { runs: [0, 1024 * KiB], size: 1028 * KiB },
  'a hole at the end': { runs: [64 * KiB], size: 3072 * KiB },
  'nothing but a hole': { runs: [], size: 1024 * KiB },
  'more runs than a header holds': {
    runs: Array.from({ length: 120 }, (_, i) => i * 64 * KiB),
    size: 7680 * KiB,
  },
  'an odd length': { runs: [512 * KiB], size: 700_001 },
}

/** @returns the folder with one file for each shape, and one without holes */
function sparseTree(t: TestContext): string {
  const folder = tempFolder(t)
  for (const [name, { runs, size }] of Object.entries(shapes)) {
    const file = openSync(join(folder, name), 'w')
    for (const [index, at] of runs.entries())
      writeSync(file, Buffer.alloc(4 * KiB, 65 + (index % 26)), 0, undefined, at)
    ftruncateSync(file, size)
    closeSync(file)
  }
  writeFileSync(join(folder, 'plain'), 'plain\n'.repeat(1000))
  return folder
}

const forms: { name: string; program: 'tar' | 'bsdtar'; args: string[] }[] = [
  { name: 'GNU format, type S', program: 'tar', args: ['--format=gnu', '-S'] },
  { name: 'POSIX 0.0', program: 'tar', args: ['--format=posix', '-S', '--sparse-version=0.0'] },
  { name: 'POSIX 0.1', program: 'tar', args: ['--format=posix', '-S', '--sparse-version=0.1'] },
  { name: 'POSIX 1.0', program: 'tar', args: ['--format=posix', '-S', '--sparse-version=1.0'] },
  { name: 'bsdtar, POSIX', program: 'bsdtar', args: ['--format=pax', '--read-sparse'] },
]
for (const { name, program, args } of forms)
  test(`holes: ${name}`, async (t) => {
    const packages = { tar: 'tar', bsdtar: 'libarchive-tools' }
    if (!needRoot(t) || needTool(t, program, packages[program]) === undefined) return
    const tree = sparseTree(t)
    const folder = tempFolder(t)
    const archive = join(folder, 'root.tar')
    const packed = run(program, ['-c', '-f', archive, ...args, '-C', tree, '.'])
    assert.equal(packed.status, 0, packed.stderr)
    assert.ok(statSync(archive).size < 2048 * KiB, 'the holes are left out')
    await extractArchive(archive, join(folder, 'root'), recordTask())
    for (const file of [...Object.keys(shapes), 'plain']) {
      const got = readFileSync(join(folder, 'root', file))
      assert.ok(got.equals(readFileSync(join(tree, file))), file)
      const judged = run('bash', [
        '-c',
        'tar -xOf "$0" "$1" | cmp - "$2"',
        archive,
        `./${file}`,
        join(folder, 'root', file),
      ])
      assert.equal(judged.status, 0, `${file}, by GNU tar: ${judged.stderr}`)
    }
    const last = statSync(join(folder, 'root', 'a hole at the end'))
    assert.ok(last.blocks * 512 < 100 * KiB, `holes stay holes: ${last.blocks} blocks`)
  })

/** A tar of one file whose records say these things. */
function packOne(folder: string, records: Record<string, string>, body = 'x'.repeat(512)): string {
  const script = [
    'import io, sys, tarfile, json',
    'info = tarfile.TarInfo("etc/sparse")',
    'body = sys.argv[3].encode()',
    'info.size = len(body)',
    'info.pax_headers = json.loads(sys.argv[2])',
    'with tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT) as out: out.addfile(info, io.BytesIO(body))',
  ].join('\n')
  const archive = join(folder, 'one.tar')
  const made = run('python3', ['-c', script, archive, JSON.stringify(records), body])
  assert.equal(made.status, 0, made.stderr)
  return archive
}

const refused: { name: string; records: Record<string, string>; says: RegExp }[] = [
  {
    name: 'version 2.0',
    records: { 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' },
    says: /"etc\/sparse": holes in the form 2\.0, which isn't read/,
  },
  {
    name: 'a map of another length',
    records: { 'GNU.sparse.size': '4096', 'GNU.sparse.map': '0,256' },
    says: /its data and the map of its holes differ/,
  },
  {
    name: 'fewer pairs than said',
    records: { 'GNU.sparse.size': '4096', 'GNU.sparse.numblocks': '2', 'GNU.sparse.map': '0,512' },
    says: /the map of its holes is not whole/,
  },
  {
    name: 'data behind the end',
    records: { 'GNU.sparse.size': '4096', 'GNU.sparse.map': '4000,512' },
    says: /its data reaches past its end/,
  },
  {
    name: 'data that overlaps',
    records: { 'GNU.sparse.size': '4096', 'GNU.sparse.map': '100,256,200,256' },
    says: /data of 256 bytes at 200/,
  },
  {
    name: 'no numbers',
    records: { 'GNU.sparse.size': '4096', 'GNU.sparse.map': '0,-512' },
    says: /the map of its holes has no numbers/,
  },
  { name: 'the form of Solaris', records: { 'SUN.holesdata': ' 0 512' }, says: /the form of Solaris/ },
  { name: 'the form of star', records: { 'SCHILY.realsize': '4096' }, says: /the form of star/ },
]
for (const { name, records, says } of refused)
  test(`holes are refused: ${name}`, async (t) => {
    if (!needRoot(t) || needTool(t, 'python3', 'python3') === undefined) return
    const folder = tempFolder(t)
    const archive = packOne(folder, records)
    await assert.rejects(extractArchive(archive, join(folder, 'root'), recordTask()), (error) => {
      assert.ok(error instanceof FormatError)
      assert.match(error.message, says)
      return true
    })
  })
