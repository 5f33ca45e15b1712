/** What many nodes read of one image is read once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootFilesOf, rememberedBootFiles } from '../src/boot/boot-files.ts'
import { rememberedReader } from '../src/disk/remembered-reader.ts'
import { openBases } from '../src/work/image-pipeline.ts'
import { planNodeChanges } from '../src/work/node-image.ts'
import { openProject } from '../src/work/project.ts'
import { demoProject } from './support/project.ts'

const counted = (bytes: Uint8Array) => {
  const asked: string[] = []
  const read = async (offset: number, length: number) => {
    asked.push(`${offset}+${length}`)
    return bytes.slice(offset, offset + length)
  }
  return { asked, reader: { length: bytes.length, read } }
}

test('rememberedReader: small pieces are read once, and nobody can change them', async () => {
  const { asked, reader } = counted(Uint8Array.from({ length: 300_000 }, (_, index) => index))
  const kept = rememberedReader(reader)
  const first = await kept.read(512, 512)
  first.fill(0)
  const into = new Uint8Array(512)
  await kept.readInto(into, 512)
  assert.deepEqual([...into], [...(await reader.read(512, 512))])
  assert.deepEqual(asked, ['512+512', '512+512'])
  await kept.read(0, 200_000)
  await kept.readInto(new Uint8Array(200_000), 0)
  assert.equal(asked.filter((one) => one === '0+200000').length, 2)
})

test('rememberedBootFiles: by name as FAT has it', async () => {
  let reads = 0
  const files = bootFilesOf(new Map([['Config.TXT', Uint8Array.of(1)]]))
  const kept = rememberedBootFiles({
    ...files,
    read: (path) => {
      reads += 1
      return files.read(path)
    },
  })
  assert.deepEqual(await kept.read('config.txt'), Uint8Array.of(1))
  assert.deepEqual(await kept.read('CONFIG.txt'), Uint8Array.of(1))
  assert.equal(await kept.read('cmdline.txt'), undefined)
  assert.equal(await kept.read('cmdline.txt'), undefined)
  assert.equal(reads, 2)
  assert.deepEqual(await kept.list(''), [{ name: 'Config.TXT', directory: false }])
})

test('a second node of an image reads nothing more of it', async (t) => {
  const demo = demoProject(t)
  const request = { cluster: demo.file('cluster.yaml'), cache: demo.file('cache') }
  const caller = {
    cwd: demo.folder,
    env: { HOME: demo.folder },
    platform: process.platform,
    now: () => new Date(0),
    signal: new AbortController().signal,
    onEvent: () => {},
    confirm: async () => false,
  }
  const project = await openProject(request, caller)
  const bases = await openBases(request, caller)
  t.after(() => bases.close())
  const [first, second, ...more] = project.cluster.nodes
  assert.ok(first !== undefined && second !== undefined)
  const opened = await bases.open(project.imageOf(first))
  const reads: string[] = []
  const base = {
    ...opened,
    reader: {
      length: opened.length,
      read(offset: number, length: number) {
        reads.push(`${offset}+${length}`)
        return opened.reader.read(offset, length)
      },
    },
  }
  await planNodeChanges(project, first, base)
  assert.deepEqual(reads, [...new Set(reads)])
  const before = reads.length
  for (const node of [second, ...more]) await planNodeChanges(project, node, base)
  // Where a node has more or fewer files than the first, other sectors of new clusters are completed.
  assert.ok(reads.length - before <= 8, reads.slice(before).join(' '))
})
