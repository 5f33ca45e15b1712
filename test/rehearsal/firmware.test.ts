/** The order of requests, and what each board takes, over files in memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boards } from '../../src/cluster/boards.ts'
import type { Model } from '../../src/cluster/node.ts'
import type { BootSource } from '../../src/rehearsal/boot-source.ts'
import { Findings } from '../../src/rehearsal/fault.ts'
import { loadSystem } from '../../src/rehearsal/firmware/load-system.ts'
import { loadFirmware } from '../../src/rehearsal/firmware/loaders.ts'
import { openRequests } from '../../src/rehearsal/firmware/requests.ts'
import { bootFiles, type Files } from './boot-tree.ts'

const SERIAL = 'a1000001'

/** @param serve whether a path is answered at all; a server that knows no `//` says no to it */
async function boot(
  model: Model,
  change: Files,
  options: { prefix?: string; serve?: (path: string) => boolean } = {},
) {
  const { prefix = `${SERIAL}/`, serve = () => true } = options
  const files = new Map(
    Object.entries({ ...bootFiles(), ...change }).map(([name, bytes]) => [prefix + name, bytes]),
  )
  if (prefix !== '') files.set('bootcode.bin', Buffer.alloc(9))
  const asked: string[] = []
  const source: BootSource = {
    placeOf: (path) => `/tftp/${path}`,
    async ask(path, how) {
      asked.push(how === 'probe' ? `${path}?` : path)
      const bytes = files.get(path.replaceAll('//', '/'))
      if (bytes === undefined || bytes === '' || !serve(path)) return { kind: 'missing' }
      return { kind: 'file', bytes: how === 'probe' ? new Uint8Array() : Buffer.from(bytes) }
    },
  }
  const findings = new Findings()
  const requests = openRequests(source, findings, boards[model].loader === 'start4', 'again')
  const loading = { board: boards[model], serial: SERIAL, requests, findings }
  const settings = await loadFirmware(loading)
  const system = settings === undefined ? undefined : await loadSystem(loading, settings, model)
  return {
    asked,
    kernel: system?.kernel?.name,
    tree: system?.deviceTree?.name,
    initramfs: system?.initramfs.map(({ name }) => name),
    cmdline: system?.cmdline?.name,
    faults: findings.faults.map(({ place, problem }) => `${place}: ${problem}`),
  }
}

const line = { 'cmdline.txt': 'root=/dev/nfs' }

test('a 3B+ begins at the root, then asks below its serial number', async () => {
  const { asked, faults } = await boot('pi3b+', line)
  assert.deepEqual(asked.slice(0, 7), [
    'bootcode.bin',
    'bootsig.bin',
    `${SERIAL}/start.elf?`,
    `${SERIAL}/autoboot.txt`,
    `${SERIAL}/config.txt`,
    `${SERIAL}/recovery.elf`,
    `${SERIAL}/start.elf`,
  ])
  assert.deepEqual(faults, [])
})

test('a Pi 4 asks for each file’s size first', async () => {
  const { asked } = await boot('pi4', line)
  assert.deepEqual(asked.slice(0, 3), [
    `${SERIAL}/start4.elf?`,
    `${SERIAL}/config.txt?`,
    `${SERIAL}/config.txt`,
  ])
  assert.ok(asked.indexOf(`${SERIAL}/kernel8.img?`) < asked.indexOf(`${SERIAL}/kernel8.img`))
})

test('a Pi 5 acts on the config.txt with two slashes, and needs no firmware', async () => {
  const { asked, kernel, initramfs } = await boot('pi5', { ...line, 'start4.elf': '', 'start.elf': '' })
  assert.deepEqual(asked.slice(0, 2), [`${SERIAL}/config.txt?`, `${SERIAL}//config.txt`])
  assert.deepEqual([kernel, initramfs], ['kernel_2712.img', ['initramfs_2712']])
})

test('a server that knows no double slash', async () => {
  const { faults } = await boot('pi5', line, { serve: (path) => !path.includes('//') })
  assert.deepEqual(faults.length, 1)
  assert.match(faults[0] ?? '', /^a1000001\/\/config\.txt: not served, although a1000001\/config\.txt is/)
})

test('without a folder for its serial number everything comes from the root', async () => {
  for (const model of ['pi3b', 'pi4', 'pi5'] as const) {
    const { faults, kernel } = await boot(model, line, { prefix: '' })
    assert.deepEqual(faults, [], model)
    assert.equal(kernel, model === 'pi5' ? 'kernel_2712.img' : 'kernel8.img')
  }
})

test('bootcode.bin is the 3B’s beginning and end', async () => {
  const { asked, faults } = await boot('pi3b', line, { serve: (path) => path !== 'bootcode.bin' })
  assert.deepEqual(asked, ['bootcode.bin'])
  assert.match(faults[0] ?? '', /^bootcode\.bin \(\/tftp\/bootcode\.bin\): not found/)
})

const picks: { name: string; model: Model; files: Files; want: Partial<Awaited<ReturnType<typeof boot>>> }[] =
  [
    {
      name: 'a 32-bit kernel on a 3B',
      model: 'pi3b',
      files: { 'config.txt': 'auto_initramfs=1' },
      want: { kernel: 'kernel7.img', initramfs: ['initramfs7'] },
    },
    {
      name: 'the 64-bit one where there is no other',
      model: 'pi3b',
      files: { 'config.txt': '\n', 'kernel7.img': '' },
      want: { kernel: 'kernel8.img', initramfs: [] },
    },
    {
      name: 'kernel= of another name keeps the board’s RAM disk',
      model: 'pi5',
      files: { 'config.txt': 'kernel=vmlinuz\nauto_initramfs=1', vmlinuz: 'k' },
      want: { kernel: 'vmlinuz', initramfs: ['initramfs_2712'] },
    },
    {
      name: 'an initramfs line beats auto_initramfs',
      model: 'pi4',
      files: { 'config.txt': 'auto_initramfs=1\ninitramfs a,b 0x1', a: '1', b: '2' },
      want: { initramfs: ['a', 'b'] },
    },
    {
      name: 'os_prefix',
      model: 'pi4',
      files: {
        'config.txt': 'os_prefix=new/',
        'new/kernel8.img': 'k',
        'new/bcm2711-rpi-4-b.dtb': bootFiles()['bcm2711-rpi-4-b.dtb'] ?? '',
        'new/cmdline.txt': 'x',
      },
      want: { kernel: 'new/kernel8.img', tree: 'new/bcm2711-rpi-4-b.dtb', cmdline: 'new/cmdline.txt' },
    },
    {
      name: 'os_prefix without a kernel there is ignored',
      model: 'pi4',
      files: { 'config.txt': 'os_prefix=new/' },
      want: { kernel: 'kernel8.img', cmdline: 'cmdline.txt' },
    },
    {
      name: 'device_tree=',
      model: 'pi4',
      files: {
        'config.txt': 'device_tree=bcm2711-rpi-400.dtb',
        'bcm2711-rpi-400.dtb': bootFiles()['bcm2711-rpi-4-b.dtb'] ?? '',
      },
      want: { tree: 'bcm2711-rpi-400.dtb' },
    },
    {
      name: 'upstream names',
      model: 'pi3b',
      files: {
        'config.txt': 'upstream_kernel=1',
        'bcm2837-rpi-3-b.dtb': bootFiles()['bcm2710-rpi-3-b.dtb'] ?? '',
      },
      want: { tree: 'bcm2837-rpi-3-b.dtb' },
    },
    {
      name: 'an included file',
      model: 'pi4',
      files: { 'config.txt': 'include user.txt', 'user.txt': 'kernel=kernel7.img' },
      want: { kernel: 'kernel7.img' },
    },
  ]
for (const { name, model, files, want } of picks)
  test(`chosen: ${name}`, async () => {
    const { faults, ...got } = await boot(model, { ...line, ...files })
    assert.deepEqual(faults, [])
    for (const [key, value] of Object.entries(want)) assert.deepEqual(got[key as 'kernel'], value, key)
  })

test('little memory for the GPU asks for other firmware', async () => {
  assert.match((await boot('pi3b', { ...line, 'config.txt': 'gpu_mem=16' })).faults[0] ?? '', /start_cd\.elf/)
  assert.match((await boot('pi4', { ...line, 'config.txt': 'gpu_mem=16' })).faults[0] ?? '', /start4cd\.elf/)
})
