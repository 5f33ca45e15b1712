/**
 * Images with two boot partitions and an autoboot.txt: the one that boards
 * start from is planned and baked, the other two keep every byte.
 */
import assert from 'node:assert/strict'
import { openSync, readSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { run } from '../support/tools.ts'
import { type Family, familyProject } from './family-project.ts'

const stretch: Family = {
  ...{ name: 'stretch', image: 'raspios-stretch-armhf-lite@2018-11-13', model: 'pi3b' },
  ...{ system: 'raspios stretch', evidence: /./, volume: 'FAT32 boot', files: [], cmdline: /./ },
}
const MIB = 1024 * 1024
const env = { MTOOLS_SKIP_CHECK: '1' }
/** Where the partitions start, MiB: the selector, both slots, their root. */
const [SELECTOR, SLOT_A, SLOT_B, ROOT] = [4, 16, 64, 112] as const

/** The image's FAT twice, as slots A and B, behind a small FAT with autoboot.txt. */
function withSlots(image: string, autoboot: string): void {
  const stock = openSync(image, 'r')
  const take = (at: number, bytes: number) => {
    const taken = Buffer.alloc(bytes)
    readSync(stock, taken, 0, bytes, at)
    return taken
  }
  // As families.gen.sh lays it out: 44 MiB of FAT from sector 8192, 8 MiB of ext4 behind it.
  const fat = take(4 * MIB, 44 * MIB)
  const root = take(48 * MIB, 8 * MIB)
  const selector = `${image}.selector`
  writeFileSync(selector, '')
  truncateSync(selector, 4 * MIB)
  assert.equal(run('mkfs.fat', ['-F', '16', '-s', '1', '-n', 'BOOTCONFIG', selector]).status, 0)
  for (const [name, input] of [['autoboot.txt', autoboot] as const, ['bootcode.bin', 'x'] as const])
    assert.equal(run('mcopy', ['-i', selector, '-', `::${name}`], { input, env }).status, 0)
  writeFileSync(image, '')
  truncateSync(image, 124 * MIB)
  const type = 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7'
  const table = [
    'label: gpt',
    `start=${SELECTOR * 2048}, size=8192, type=${type}, name=bootconfig`,
    `start=${SLOT_A * 2048}, size=${44 * 2048}, type=${type}, name=boot_a`,
    `start=${SLOT_B * 2048}, size=${44 * 2048}, type=${type}, name=boot_b`,
    `start=${ROOT * 2048}, size=16384, type=linux, name=system`,
  ]
  assert.equal(run('sfdisk', ['-q', image], { input: `${table.join('\n')}\n` }).status, 0)
  const made = openSync(image, 'r+')
  const selectorBytes = Buffer.alloc(4 * MIB)
  readSync(openSync(selector, 'r'), selectorBytes)
  for (const [at, bytes] of [
    [SELECTOR, selectorBytes] as const,
    [SLOT_A, fat] as const,
    [SLOT_B, fat] as const,
  ])
    writeSync(made, bytes, 0, bytes.length, at * MIB)
  writeSync(made, root, 0, root.length, ROOT * MIB)
}

const bytesAt = (image: string, at: number, mib: number): Buffer => {
  const bytes = Buffer.alloc(mib * MIB)
  readSync(openSync(image, 'r'), bytes, 0, bytes.length, at * MIB)
  return bytes
}

for (const [slot, chosen, other] of [
  [2, SLOT_A, SLOT_B],
  [3, SLOT_B, SLOT_A],
] as const)
  test(`autoboot.txt names partition ${slot}: that one becomes the node's`, async (t) => {
    const autoboot = `[all]\ntryboot_a_b=1\nboot_partition=${slot}\n[tryboot]\nboot_partition=${5 - slot}\n`
    const project = familyProject(t, stretch, (image) => {
      withSlots(image, autoboot)
      // Which of its lines count follows from the partition, too.
      const config = `[boot_partition=${slot}]\ngpu_mem=16\n[boot_partition=1]\ncmdline=nobody.txt\n[all]\n`
      const volume = `${image}@@${chosen * MIB}`
      assert.equal(run('mcopy', ['-o', '-i', volume, '-', '::config.txt'], { input: config, env }).status, 0)
    })
    if (project === undefined) return
    const stock = project.file('stock.img')
    const found = await project.piimage('inspect', stock)
    assert.equal(found.status, 0, found.stderr)
    assert.match(found.stdout, /^system: raspios stretch/m)
    const baked = await project.piimage('bake', '--all', '-o', project.file('out'))
    assert.equal(baked.status, 0, baked.stderr)
    const card = project.file('out/oneil.img')
    assert.ok(bytesAt(card, other, 44).equals(bytesAt(stock, other, 44)), 'the other slot is as it was')
    assert.ok(bytesAt(card, SELECTOR, 4).equals(bytesAt(stock, SELECTOR, 4)), 'so is the selector')
    const line = run('mtype', ['-i', `${card}@@${chosen * MIB}`, '::cmdline.txt'], { env })
    assert.match(line.stdout, /init=\/bin\/bash -c/)
    const checked = await project.piimage('inspect', card, '--check')
    assert.equal(checked.status, 0, checked.stderr)
    assert.match(checked.stdout, /node: oneil of cluster sgc/)
    const again = await project.piimage('customise', card, '--node', 'oneil', '--yes')
    assert.equal(again.status, 0, again.stderr)
  })

for (const [number, problem] of [
  [7, /autoboot\.txt on partition 1 says boot_partition=7, and there is no such partition/],
  [4, /autoboot\.txt on partition 1 says boot_partition=4, and no FAT can be read there/],
] as const)
  test(`autoboot.txt names partition ${number}, which no board can start from`, async (t) => {
    const project = familyProject(t, stretch, (image) => withSlots(image, `boot_partition=${number}\n`))
    if (project === undefined) return
    const { status, stderr } = await project.piimage('plan')
    assert.equal(status, 4, stderr)
    assert.match(stderr, problem)
    const inspected = await project.piimage('inspect', project.file('stock.img'))
    assert.match(inspected.stdout, problem)
  })
