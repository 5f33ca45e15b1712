/** Which files each board starts from, over partitions that are lists of names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import type { Model } from '../../src/cluster/node.ts'
import { readAutoboot } from '../../src/disk/autoboot.ts'
import { selectBoot } from '../../src/firmware/boot-selection.ts'
import type { Situation } from '../../src/firmware/config-txt.ts'

/** @param more files besides config.txt, all empty */
const select = (model: Model, config: string, more: string[], situation?: Situation) => {
  const files = new Map(more.map((name) => [name, new Uint8Array()]))
  files.set('config.txt', Buffer.from(config))
  return selectBoot(bootFilesOf(files), model, situation)
}

const stock = ['cmdline.txt', 'kernel8.img', 'kernel7.img', 'kernel_2712.img', 'initramfs8', 'initramfs_2712']
stock.push('bcm2711-rpi-4-b.dtb', 'bcm2712-rpi-5-b.dtb', 'bcm2710-rpi-3-b.dtb', 'overlays/disable-bt.dtbo')
const current = [
  'current/vmlinuz',
  'current/initrd.img',
  'current/cmdline.txt',
  'current/bcm2711-rpi-4-b.dtb',
]

const cases: {
  name: string
  model: Model
  config: string
  files?: string[]
  situation?: Situation
  want: { kernel?: string; cmdline?: string; tree?: string; initramfs?: string[]; overlays?: string[] }
}[] = [
  {
    name: 'the defaults of a Pi 4',
    model: 'pi4',
    config: 'auto_initramfs=1\n',
    want: {
      ...{ kernel: 'kernel8.img', cmdline: 'cmdline.txt', tree: 'bcm2711-rpi-4-b.dtb' },
      initramfs: ['initramfs8'],
    },
  },
  { name: 'a Pi 3 is 32-bit unless told', model: 'pi3b', config: '', want: { kernel: 'kernel7.img' } },
  { name: 'cmdline=', model: 'pi4', config: 'cmdline=mine.txt\n', want: { cmdline: 'mine.txt' } },
  {
    name: 'cmdline= of another model',
    model: 'pi4',
    config: '[pi5]\ncmdline=mine.txt\n',
    want: { cmdline: 'cmdline.txt' },
  },
  {
    name: 'os_prefix= with kernel and tree there',
    model: 'pi4',
    config: 'os_prefix=current/\nkernel=vmlinuz\ninitramfs initrd.img followkernel\n',
    files: current,
    want: {
      ...{ kernel: 'current/vmlinuz', cmdline: 'current/cmdline.txt', tree: 'current/bcm2711-rpi-4-b.dtb' },
      initramfs: ['current/initrd.img'],
    },
  },
  {
    name: 'os_prefix= without a tree of this board',
    model: 'pi5',
    config: 'os_prefix=current/\n',
    files: current,
    want: { kernel: 'kernel_2712.img', cmdline: 'cmdline.txt' },
  },
  {
    name: 'os_prefix= of a trial',
    model: 'pi4',
    config: 'kernel=vmlinuz\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n',
    files: [...current, 'new/vmlinuz', 'new/bcm2711-rpi-4-b.dtb', 'new/cmdline.txt'],
    want: { cmdline: 'current/cmdline.txt' },
  },
  {
    name: 'the trial itself',
    model: 'pi4',
    config: 'kernel=vmlinuz\nos_prefix=current/\n[tryboot]\nos_prefix=new/\n',
    files: [...current, 'new/vmlinuz', 'new/bcm2711-rpi-4-b.dtb', 'new/cmdline.txt'],
    situation: { tryboot: true },
    want: { cmdline: 'new/cmdline.txt' },
  },
  {
    name: 'a slash in front leaves the prefix out',
    model: 'pi4',
    config: 'os_prefix=current/\nkernel=vmlinuz\ncmdline=/cmdline.txt\n',
    files: current,
    want: { kernel: 'current/vmlinuz', cmdline: 'cmdline.txt' },
  },
  {
    name: 'overlays are shared unless the prefix has a README of its own',
    model: 'pi4',
    config: 'os_prefix=current/\nkernel=vmlinuz\ndtoverlay=disable-bt\n',
    files: current,
    want: { overlays: ['overlays/disable-bt.dtbo'] },
  },
  {
    name: 'overlays of the prefix',
    model: 'pi4',
    config: 'os_prefix=current/\nkernel=vmlinuz\ndtoverlay=disable-bt,x=1\n',
    files: [...current, 'current/overlays/README'],
    want: { overlays: ['current/overlays/disable-bt.dtbo missing'] },
  },
  {
    name: 'overlay_prefix=',
    model: 'pi4',
    config: 'overlay_prefix=dt/\ndtoverlay=vc4:x\n',
    want: { overlays: ['dt/vc4.dtbo missing'] },
  },
  {
    name: 'upstream_kernel=1',
    model: 'pi3b',
    config: 'upstream_kernel=1\narm_64bit=1\n',
    files: ['upstream/kernel8.img', 'upstream/bcm2837-rpi-3-b.dtb', 'upstream/cmdline.txt'],
    want: {
      kernel: 'upstream/kernel8.img',
      tree: 'upstream/bcm2837-rpi-3-b.dtb',
      cmdline: 'upstream/cmdline.txt',
    },
  },
  {
    name: 'upper case on a FAT',
    model: 'pi4',
    config: 'kernel=KERNEL7.IMG\n',
    want: { kernel: 'KERNEL7.IMG' },
  },
  { name: 'no device tree', model: 'pi4', config: 'device_tree=\n', want: { tree: undefined } },
]
for (const { name, model, config, files = [], situation, want } of cases)
  test(`selected: ${name}`, async () => {
    const found = await select(model, config, [...stock, ...files], situation)
    const got = {
      kernel: found.kernel.path,
      cmdline: found.cmdline.path,
      tree: found.deviceTree?.path,
      initramfs: found.initramfs.map(({ path }) => path),
      overlays: found.overlays.map(({ path, there }) => (there ? path : `${path} missing`)),
    }
    for (const [key, value] of Object.entries(want)) assert.deepEqual(got[key as 'kernel'], value, key)
  })

test('each choice names the line that asks for it', async () => {
  const { kernel, cmdline, ignoredPrefix } = await select(
    'pi4',
    '[pi4]\n#\ncmdline=a.txt\nos_prefix=x/\n',
    stock,
  )
  assert.deepEqual(cmdline.because, {
    ...{ key: 'cmdline', value: 'a.txt', file: 'config.txt', line: 3, filter: '[pi4]' },
  })
  assert.deepEqual([cmdline.there, kernel.because, ignoredPrefix], [false, undefined, 'x/'])
})

test('firmware variants are asked for in config.txt itself', async () => {
  const start = async (model: Model, config: string) => (await select(model, config, stock)).start?.start
  assert.equal(await start('pi4', 'gpu_mem=16\n'), 'start4cd.elf')
  assert.equal(await start('pi3b', 'start_x=1\n'), 'start_x.elf')
  assert.equal(await start('pi3b', 'start_file=other.elf\n'), 'other.elf')
  assert.equal(await start('pi5', 'gpu_mem=16\n'), undefined)
})

test('autoboot.txt', () => {
  const read = (text: string) => readAutoboot(Buffer.from(text))
  assert.deepEqual(read('[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n'), {
    ...{ partition: 2, tryPartition: 3 },
  })
  assert.deepEqual(read('[none]\nboot_partition=2\n'), {})
  assert.deepEqual(read('boot_partition=0\n'), {})
  assert.deepEqual(read(`${'#'.repeat(510)}\nboot_partition=2\n`), {})
})
