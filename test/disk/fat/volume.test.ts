/** What one edit does: names, places, times, room, and how little it touches. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { subReader } from '../../../src/disk/blocks.ts'
import { Changes } from '../../../src/disk/changes.ts'
import { FatVolume } from '../../../src/disk/fat/volume.ts'
import { FormatError, UsageError } from '../../../src/errors.ts'
import { KiB, MiB } from '../../../src/units.ts'
import { memoryReader } from '../../support/memory-reader.ts'
import { tempFolder } from '../../support/temp.ts'
import { run } from '../../support/tools.ts'
import {
  applyChanges,
  checkVolume,
  digest,
  makeVolume,
  mcopyIn,
  needJudges,
  openVolume,
  randomBytes,
  randomNumbers,
  readByMtools,
  readByUs,
  shapes,
} from './judges.ts'

const modified = new Date(Date.UTC(2025, 4, 13, 10, 20, 30))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const PI_VOLUME = { name: 'as on a Pi image', bytes: 512 * MiB, args: ['-F', '32', '-s', '1'] }
const SMALL_FAT32 = { name: 'small', bytes: 40 * MiB, args: ['-F', '32', '-s', '1'] }
const FAT16 = { name: 'FAT16', bytes: 16 * MiB, args: ['-F', '16'] }

/** A folder like a Pi's boot partition. */
function bootFiles(t: TestContext): string {
  const folder = tempFolder(t)
  const random = randomNumbers(7)
  mkdirSync(join(folder, 'overlays'))
  const put = (name: string, bytes: Uint8Array): void => writeFileSync(join(folder, name), bytes)
  put('cmdline.txt', text('console=serial0,115200 root=PARTUUID=7a3f1c55-02 rootwait\n'))
  put('config.txt', text('# stock\narm_64bit=1\n'))
  put('kernel8.img', randomBytes(random, 3 * MiB))
  put('bcm2712-rpi-5-b.dtb', randomBytes(random, 78_000))
  for (let i = 0; i < 150; i += 1)
    put(`overlays/some-long-overlay-${i}.dtbo`, randomBytes(random, 400 + i * 20))
  return folder
}

function putBootFiles(path: string, folder: string): void {
  for (const name of ['cmdline.txt', 'config.txt', 'kernel8.img', 'bcm2712-rpi-5-b.dtb', 'overlays']) {
    mcopyIn(path, [join(folder, name)])
  }
}

for (const shape of shapes.filter(({ bytes }) => bytes > 4 * MiB)) {
  test(`reads what mtools wrote: ${shape.name}`, async (t) => {
    if (!needJudges(t)) return
    const path = makeVolume(t, shape)
    putBootFiles(path, bootFiles(t))
    const { changes, volume } = await openVolume(t, path)
    const sorted = (map: Map<string, string>): [string, string][] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1))
    assert.deepEqual(sorted(await readByUs(volume)), sorted(readByMtools(t, path)))
    assert.equal(volume.label, 'BOOTFS')
    assert.equal(volume.volumeId, '7A3F-1C55')
    assert.equal(volume.kind, Number(shape.args[1]))
    assert.equal(changes.sectorCount, 0, 'reading changes nothing')
    const info = run('minfo', ['-i', path, '::']).stdout
    const bytesInClusters = Number(/cluster size: (\d+)/.exec(info)?.[1]) * 512
    assert.equal(volume.clusterBytes, bytesInClusters)
  })
}

test('a customisation of a 512 MiB volume touches few sectors, and again none', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, PI_VOLUME)
  putBootFiles(path, bootFiles(t))
  const { base, changes, volume } = await openVolume(t, path)
  const customise = async (to: FatVolume): Promise<void> => {
    await to.writeFile('cmdline.txt', text('console=tty1 root=PARTUUID=7a3f1c55-02 cgroup_enable=memory\n'), {
      modified,
    })
    await to.writeFile('config.txt', text('# stock\narm_64bit=1\n[all]\ngpu_mem=16\n'), { modified })
    await to.writeFile('ssh', new Uint8Array(0), { modified })
    await to.writeFile('user-data', text('#cloud-config\nhostname: oneil\n'), { modified })
    await to.writeFile('network-config', text('version: 2\n'), { modified })
    await to.writeFile('meta-data', text('instance-id: oneil\n'), { modified })
  }
  await customise(volume)
  // 5 of data, 2 of the root, 2 of each FAT (the root grew by a cluster), FSInfo.
  assert.ok(changes.sectorCount <= 12, `${changes.sectorCount} sectors`)

  const again = new Changes(changes)
  await customise(await FatVolume.open(again))
  assert.equal(again.sectorCount, 0, 'the same again changes nothing')

  const sectors = await base.read(0, 32 * 512)
  assert.equal(digest(await changes.read(0, 512)), digest(sectors.subarray(0, 512)))
  assert.equal(digest(await changes.read(6 * 512, 512)), digest(sectors.subarray(6 * 512, 7 * 512)))
  await applyChanges(path, changes)
  checkVolume(path)
})

test('names show as they were given, and are found in any case and by alias', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const { changes, volume } = await openVolume(t, path)
  const names = ['ssh', 'CONFIG.TXT', 'user-data', 'Grüße.txt', '🍓 pi', 'x'.repeat(255), 'y'.repeat(26)]
  for (const name of names) await volume.writeFile(name, text(name), { modified })
  assert.deepEqual(
    (await volume.list('/')).map((entry) => entry.name),
    names,
  )
  assert.equal((await volume.stat('SSH'))?.name, 'ssh')
  assert.equal((await volume.stat('USER-D~1'))?.name, 'user-data')
  assert.equal((await volume.stat('grüSSe.txt'))?.name, undefined)
  await volume.writeFile('SSH', text('again'), { modified })
  assert.equal((await volume.list('')).length, names.length)
  assert.equal((await volume.stat('ssh'))?.name, 'ssh')
  await applyChanges(path, changes)
  checkVolume(path)
  const seen = readByMtools(t, path)
  // mtools knows no characters beyond U+FFFF.
  for (const name of names.filter((n) => !n.includes('🍓'))) assert.ok(seen.has(name), name)
})

test('a file that outgrows its clusters goes where it lies in one piece', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const { changes, volume } = await openVolume(t, path)
  const random = randomNumbers(3)
  /** Clusters as mtools shows them: `<3-4>`. */
  const layout = async (name: string): Promise<string> => {
    await applyChanges(path, changes)
    checkVolume(path)
    const shown = run('mshowfat', ['-i', path, `::${name}`])
    assert.equal(shown.status, 0, shown.stderr)
    return shown.stdout.trim().replace(/^\S+ /, '')
  }
  const write = async (name: string, length: number): Promise<void> => {
    const bytes = randomBytes(random, length)
    await volume.writeFile(name, bytes, { modified })
    assert.equal(digest(await volume.readFile(name)), digest(bytes))
  }
  await write('a', 1000)
  await write('b', 1000)
  assert.deepEqual([await layout('a'), await layout('b')], ['<3-4>', '<5-6>'])
  await write('b', 2000)
  assert.equal(await layout('b'), '<5-8>', 'grows where it stands')
  await write('a', 1500)
  assert.equal(await layout('a'), '<9-11>', 'moves, because b is in its way')
  await write('b', 600)
  assert.equal(await layout('b'), '<5-6>', 'shrinks where it stands')
  await write('c', 2 * 512)
  assert.equal(await layout('c'), '<3-4>', 'takes the lowest place it fits')
  await write('d', 3 * 512)
  assert.equal(await layout('d'), '<12-14>', 'jumps over a gap that is too small')
  await volume.writeFile('fill', new Uint8Array(await volume.freeBytes()), { modified })
  assert.equal(await volume.freeBytes(), 0)
  assert.match(await layout('fill'), /^<7-8> <15-\d+>$/, 'is cut up where there is no other place')
  await volume.remove('c')
  await write('a', 4 * 512)
  assert.equal(await layout('a'), '<9-11> <3>')
})

test('times are stored as UTC fields, in steps of two seconds', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const { volume } = await openVolume(t, path)
  const cases: [string, string][] = [
    ['2025-05-13T10:20:31.999Z', '2025-05-13T10:20:30.000Z'],
    ['1970-01-01T00:00:00.000Z', '1980-01-01T00:00:00.000Z'],
    ['2107-12-31T23:59:58.000Z', '2107-12-31T23:59:58.000Z'],
    ['2200-01-01T00:00:00.000Z', '2107-12-31T23:59:58.000Z'],
  ]
  for (const [given, stored] of cases) {
    await volume.writeFile('file', text('x'), { modified: new Date(given) })
    assert.equal((await volume.stat('file'))?.modified.toISOString(), stored)
    await volume.mkdir(`folder ${given.slice(0, 4)}`, { modified: new Date(given) })
    assert.equal((await volume.stat(`folder ${given.slice(0, 4)}`))?.modified.toISOString(), stored)
  }
})

test('folders are made with those above them, in one go', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const { changes, volume } = await openVolume(t, path)
  const deep = `piimage/first boot.d/${'long '.repeat(40)}end/D`
  await volume.mkdir(deep, { modified })
  const written = changes.sectorCount
  await volume.mkdir(deep.toUpperCase(), { modified: new Date(0) })
  assert.equal(changes.sectorCount, written)
  await volume.writeFile(`${deep}/file.txt`, text('here'), { modified })
  await volume.writeFile('plain', text('x'), { modified })
  await assert.rejects(volume.mkdir('plain/below', { modified }), /plain is a file/)
  await assert.rejects(volume.mkdir('new/bad:name', { modified }), UsageError)
  await assert.rejects(
    volume.writeFile('nowhere/file', text('x'), { modified }),
    /no folder for "nowhere\/file"/,
  )
  await assert.rejects(volume.writeFile('piimage', text('x'), { modified }), /piimage is a folder/)
  await assert.rejects(volume.remove('absent'), /has no "absent"/)
  assert.equal(await volume.stat('new'), undefined)
  await applyChanges(path, changes)
  checkVolume(path)
  assert.equal(readByMtools(t, path).get(`${deep}/file.txt`), digest(text('here')))
})

test('a folder goes with everything in it, and gives back its room', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  putBootFiles(path, bootFiles(t))
  const { changes, volume } = await openVolume(t, path)
  const free = await volume.freeBytes()
  await volume.mkdir('a/b/c', { modified })
  for (let i = 0; i < 60; i += 1) await volume.writeFile(`a/b/file ${i}`, new Uint8Array(600), { modified })
  assert.ok((await volume.freeBytes()) < free)
  await volume.remove('a')
  assert.equal(await volume.freeBytes(), free)
  assert.equal(await volume.stat('a'), undefined)
  await volume.remove('overlays')
  await applyChanges(path, changes)
  checkVolume(path)
})

test('the fixed root of FAT16 says when it is full, and changes nothing', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, FAT16)
  const { changes, volume } = await openVolume(t, path)
  // 512 entries, one of them the label.
  for (let i = 0; i < 255; i += 1) await volume.writeFile(`f${i}`, text(`${i}`), { modified })
  const written = changes.sectorCount
  const free = await volume.freeBytes()
  await assert.rejects(volume.writeFile('one-more', text('x'), { modified }), (error) => {
    assert.ok(error instanceof FormatError && error.hint !== undefined)
    assert.match(
      error.message,
      /root directory of the FAT volume is full: one-more needs 2 of its 512 entries/,
    )
    return true
  })
  assert.equal(changes.sectorCount, written)
  assert.equal(await volume.freeBytes(), free)
  await volume.writeFile('LAST', text('fits'), { modified })
  await volume.remove('f7')
  await volume.writeFile('one-more', text('x'), { modified })
  await applyChanges(path, changes)
  checkVolume(path)
})

test('what does not fit is refused with both sizes, before anything is written', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, FAT16)
  const { changes, volume } = await openVolume(t, path)
  await volume.writeFile('fill', new Uint8Array((await volume.freeBytes()) - 8 * KiB), { modified })
  const free = await volume.freeBytes()
  const written = changes.ranges()
  await assert.rejects(volume.writeFile('big', new Uint8Array(free + 1), { modified }), (error) => {
    assert.ok(error instanceof FormatError)
    assert.match(
      error.message,
      new RegExp(`^big needs ${free + volume.clusterBytes} more bytes .* has ${free} free$`),
    )
    return true
  })
  await assert.rejects(
    volume.mkdir(Array.from({ length: 9 }, (_, i) => `d${i}`).join('/'), { modified }),
    FormatError,
  )
  assert.deepEqual(changes.ranges(), written)
  await volume.writeFile('exact', new Uint8Array(free), { modified })
  assert.equal(await volume.freeBytes(), 0)
  await volume.writeFile('empty', new Uint8Array(0), { modified })
  await applyChanges(path, changes)
  checkVolume(path)
})

test('a wrong free count in FSInfo is counted anew; a missing FSInfo is not made', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const wrong = await openVolume(t, path)
  await wrong.changes.write(512 + 488, new Uint8Array([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]))
  const expected = await wrong.volume.freeBytes()
  assert.ok(expected > 30 * MiB)
  await wrong.volume.writeFile('a', text('a'), { modified })
  await applyChanges(path, wrong.changes)
  checkVolume(path)

  const without = await openVolume(t, path)
  await without.changes.write(512, new Uint8Array(512))
  await without.volume.writeFile('b', text('b'), { modified })
  assert.deepEqual(await without.changes.read(512, 512), new Uint8Array(512))
})

test('the high four bits of FAT32 entries, and old entries behind the end mark, do no harm', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const { changes } = await openVolume(t, path)
  const fat = 32 * 512
  await changes.write(fat + 3 * 4, new Uint8Array([0, 0, 0, 0xa0]))
  // The root's cluster: an entry that was in use once, behind a slot that ends the directory.
  const boot = new DataView(Uint8Array.from(await changes.read(0, 512)).buffer)
  const root = fat + 2 * boot.getUint32(36, true) * 512
  await changes.write(root + 64, text('OLD     TXT'))
  const volume = await FatVolume.open(changes)
  await volume.writeFile('NEW.TXT', text('new'), { modified })
  assert.deepEqual(
    (await volume.list('')).map((entry) => entry.name),
    ['NEW.TXT'],
  )
  assert.deepEqual([...(await changes.read(fat + 12, 4))], [0xff, 0xff, 0xff, 0xaf])
})

test('used ranges hold every byte of every file, and no free cluster', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  putBootFiles(path, bootFiles(t))
  const { base, volume } = await openVolume(t, path)
  const used = await volume.usedRanges()
  const usedBytes = used.reduce((sum, range) => sum + range.length, 0)
  assert.equal(usedBytes, base.length - (await volume.freeBytes()))
  const bare = new Uint8Array(base.length).fill(0xdb)
  for (const { offset, length } of used) bare.set(await base.read(offset, length), offset)
  assert.deepEqual(await readByUs(await FatVolume.open(memoryReader(bare))), await readByUs(volume))
})

test('edits made at once wait for each other', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, SMALL_FAT32)
  const { changes, volume } = await openVolume(t, path)
  const names = Array.from({ length: 40 }, (_, i) => `file number ${i}`)
  await Promise.all(names.map((name) => volume.writeFile(name, text(name), { modified })))
  await applyChanges(path, changes)
  checkVolume(path)
  assert.equal(readByMtools(t, path).size, names.length)
})

test('a volume over a plain reader can be read only', async (t) => {
  if (!needJudges(t)) return
  const { base } = await openVolume(t, makeVolume(t, FAT16))
  const volume = await FatVolume.open(subReader(base, 0, base.length))
  assert.deepEqual(await volume.list(''), [])
  await assert.rejects(volume.writeFile('a', text('a'), { modified }), /opened for reading/)
})

test('wipe: what a file gives up reads as zeroes, and nothing else changes', async (t) => {
  if (!needJudges(t)) return
  const path = makeVolume(t, {
    name: 'small, two sectors per cluster',
    bytes: 80 * MiB,
    args: ['-F', '32', '-s', '2'],
  })
  const { changes, volume } = await openVolume(t, path)
  const secret = 'correct horse battery staple'
  const long = text(secret.repeat(200))
  const holds = async (): Promise<boolean> => Buffer.from(await changes.read(0, 8 * MiB)).includes(secret)
  await volume.mkdir('keys', { modified })
  for (const name of ['shrinks', 'grows', 'goes', 'keys/goes'])
    await volume.writeFile(name, long, { modified })
  await volume.writeFile('stays', text('stays as it is'), { modified })
  await volume.writeFile('shrinks', text('correct horse'), { modified, wipe: true })
  await volume.writeFile('grows', text('x'.repeat(9000)), { modified, wipe: true })
  await volume.remove('goes', { wipe: true })
  assert.ok(await holds(), 'one file with it is left')
  await volume.remove('keys', { wipe: true })
  assert.equal(await holds(), false)
  assert.equal(Buffer.from(await volume.readFile('shrinks')).toString(), 'correct horse')
  assert.equal(Buffer.from(await volume.readFile('stays')).toString(), 'stays as it is')
  await applyChanges(path, changes)
  checkVolume(path)
})
