/** Plans carried out on real FAT volumes, judged by fsck.fat and mtools. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { bytesOf } from '../../src/boot/boot-files.ts'
import { applyBootPlan, bootFilesOfVolume, checkRoom } from '../../src/customise/apply-boot-plan.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { type BootPlan, planBoot } from '../../src/customise/plan-boot.ts'
import { Changes } from '../../src/disk/changes.ts'
import { formatFat32 } from '../../src/disk/fat/format.ts'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { FormatError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { MiB } from '../../src/units.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { keys, makeCluster, makeNode } from './cluster.ts'
import { stockFiles } from './stock.ts'

const modified = new Date('2025-12-04T00:00:00Z')

/** An image file with the stock files of a system; undefined after the test was skipped. */
function makeVolume(t: TestContext, system: string, mkfs: string[], bytes: number): string | undefined {
  for (const [tool, deb] of [
    ['mkfs.fat', 'dosfstools'],
    ['fsck.fat', 'dosfstools'],
    ['mcopy', 'mtools'],
  ] as const) {
    if (needTool(t, tool, deb) === undefined) return undefined
  }
  const folder = tempFolder(t)
  const file = join(folder, 'boot.img')
  writeFileSync(file, new Uint8Array(bytes))
  const made = run('mkfs.fat', ['--invariant', ...mkfs, file])
  assert.equal(made.status, 0, made.stderr)
  for (const [path, content] of stockFiles(system)) {
    writeFileSync(join(folder, path), content)
    assert.equal(run('mcopy', ['-i', file, join(folder, path), `::${path}`]).status, 0)
  }
  return file
}

async function planFor(volume: FatVolume): Promise<BootPlan> {
  const node = makeNode()
  return planBoot({
    cluster: makeCluster([node]),
    node,
    image: { key: 'k', version: 'v', arch: 'arm64' },
    boot: bootFilesOfVolume(volume),
    overlays: await readOverlays([join(packageRoot(), 'overlays')]),
    keys,
  })
}

async function customise(file: string): Promise<{ plan: BootPlan; sectors: number }> {
  const bytes = new Uint8Array(readFileSync(file))
  const changes = new Changes({
    length: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  })
  const volume = await FatVolume.open(changes)
  const plan = await planFor(volume)
  await applyBootPlan(plan, volume, modified)
  for (const { offset, length } of changes.ranges()) bytes.set(await changes.read(offset, length), offset)
  writeFileSync(file, bytes)
  return { plan, sectors: changes.sectorCount }
}

const volumes: [string, string, string[], number][] = [
  ['512-byte clusters', 'trixie', ['-F', '32', '-s', '1', '-n', 'BOOTFS'], 128 * MiB],
  ['2 KiB clusters', 'bookworm', ['-F', '32', '-s', '4', '-n', 'BOOTFS'], 160 * MiB],
  ['FAT16', 'stretch', ['-F', '16', '-n', 'BOOT'], 48 * MiB],
]
for (const [name, system, mkfs, size] of volumes) {
  test(`applyBootPlan: ${name}`, async (t) => {
    const file = makeVolume(t, system, mkfs, size)
    if (file === undefined) return
    const { plan } = await customise(file)
    const checked = run('fsck.fat', ['-n', file])
    assert.equal(checked.status, 0, checked.stdout)
    for (const { path, after } of plan.files) {
      const read = run('mtype', ['-i', file, `::${path}`])
      assert.equal(read.stdout, Buffer.from(after ?? []).toString('utf8'), path)
    }
    const once = readFileSync(file)
    const again = await customise(file)
    assert.deepEqual(again.plan.files, [])
    assert.equal(again.sectors, 0, 'a second run writes nothing')
    assert.ok(once.equals(readFileSync(file)))
  })
}

const os: BootPlan['os'] = {
  family: 'raspios',
  release: 'trixie',
  evidence: [],
  traits: { cloudInit: true, kernel: 6 },
  bootMount: '/boot',
  trigger: 'init',
}

test('checkRoom: 16 MiB stay free, on smaller volumes their share', () => {
  const plan = (bytes: number): BootPlan => ({
    node: 'oneil',
    os,
    imager: 'none',
    files: [{ path: 'a', before: null, after: new Uint8Array(bytes) }],
    secrets: [],
    warnings: [],
  })
  const room = (length: number, freeBytes: number) => ({ length, freeBytes, clusterBytes: 512 })
  checkRoom(plan(MiB), room(512 * MiB, 17 * MiB))
  assert.throws(() => checkRoom(plan(MiB + 1), room(512 * MiB, 17 * MiB)), FormatError)
  checkRoom(plan(MiB), room(64 * MiB, 9 * MiB))
  assert.throws(() => checkRoom(plan(MiB + 1), room(64 * MiB, 9 * MiB)), FormatError)
  // A plan that takes nothing is not to blame for a full volume.
  checkRoom(plan(0), room(512 * MiB, 0))
})

test('what is removed or replaced leaves nothing behind in free clusters', async () => {
  const bytes = new Uint8Array(40 * MiB)
  const editor = {
    length: bytes.length,
    read: async (offset: number, length: number) => bytes.slice(offset, offset + length),
    write: async (offset: number, content: Uint8Array) => bytes.set(content, offset),
  }
  await formatFat32(editor, { label: 'BOOT', volumeId: 1, startSectors: 0 })
  const [key, passphrase] = ['the key of oneil\n'.repeat(200), 'the pass phrase of oneil\n'.repeat(200)]
  const change = (path: string, after: string | null) => ({
    path,
    before: null,
    after: after === null ? null : bytesOf(after),
  })
  const apply = async (files: BootPlan['files']) => {
    const volume = await FatVolume.open(editor)
    await applyBootPlan(
      { node: 'oneil', os, imager: 'none', files, secrets: [], warnings: [] },
      volume,
      modified,
    )
  }
  await apply([change('piimage/secrets/key', key), change('network-config', passphrase)])
  const isThere = (text: string) => Buffer.from(bytes).includes(text)
  assert.ok(isThere('key of oneil') && isThere('pass phrase of oneil'))
  await apply([change('piimage/secrets/key', null), change('network-config', 'x')])
  assert.ok(!isThere('key of oneil'), 'of the file that was removed')
  assert.ok(!isThere('pass phrase of oneil'), 'of the file that was replaced')
})
