import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boards } from '../../src/cluster/boards.ts'
import type { Model } from '../../src/cluster/node.ts'
import { readSettings, type Situation } from '../../src/firmware/config-txt.ts'

interface Case {
  name: string
  text: string
  model: Model
  kernel: string | undefined
  situation?: Situation
  uncertain?: string
}

const cases: Case[] = [
  { name: 'the last value wins', text: 'kernel=a\nkernel=b\n', model: 'pi4', kernel: 'b' },
  { name: 'another model’s section', text: '[pi3]\nkernel=a\n', model: 'pi4', kernel: undefined },
  { name: 'a 3B+ sees what a 3B sees', text: '[pi3]\nkernel=a\n', model: 'pi3b+', kernel: 'a' },
  { name: 'a 3B doesn’t see what a 3B+ sees', text: '[pi3+]\nkernel=a\n', model: 'pi3b', kernel: undefined },
  { name: 'a CM4 is a 4', text: '[pi4]\nkernel=a\n[cm4]\nkernel=b\n', model: 'cm4', kernel: 'b' },
  { name: 'a CM5 is a 5', text: '[pi5]\nkernel=a\n', model: 'cm5', kernel: 'a' },
  { name: 'a 5 is no CM5', text: '[cm5]\nkernel=a\n', model: 'pi5', kernel: undefined },
  { name: 'a Zero 2 W sees all Zeros', text: '[pi0w]\nkernel=a\n', model: 'zero2w', kernel: 'a' },
  { name: 'all ends a section', text: '[pi3]\n[all]\nkernel=a\n', model: 'pi4', kernel: 'a' },
  { name: 'none', text: '[none]\nkernel=a\n', model: 'pi4', kernel: undefined },
  { name: 'none holds until all', text: '[none]\n[pi4]\nkernel=a\n', model: 'pi4', kernel: undefined },
  { name: 'board-type', text: '[board-type=0x14]\nkernel=a\n', model: 'cm4', kernel: 'a' },
  { name: 'another board-type', text: '[board-type=0x11]\nkernel=a\n', model: 'cm4', kernel: undefined },
  { name: 'a section nobody knows', text: '[pi9]\nkernel=a\n', model: 'pi4', kernel: undefined },
  { name: 'its serial number', text: '[0xA1000001]\nkernel=a\n', model: 'pi4', kernel: 'a' },
  {
    name: 'a serial number of 16 digits',
    text: '[0x10000000a1000001]\nkernel=a\n',
    model: 'pi4',
    kernel: 'a',
  },
  { name: 'another serial number', text: '[0xA1000002]\nkernel=a\n', model: 'pi4', kernel: undefined },
  {
    name: 'a serial number, and the board’s is not known',
    text: '[0xa1000001]\nkernel=a\n',
    model: 'pi4',
    situation: {},
    kernel: undefined,
    uncertain: '[0xa1000001]',
  },
  {
    name: 'two kinds must both hold',
    text: '[0xa1000001]\n[pi3]\nkernel=a\n',
    model: 'pi4',
    kernel: undefined,
  },
  { name: 'one kind replaces itself', text: '[pi3]\n[pi4]\nkernel=a\n', model: 'pi4', kernel: 'a' },
  {
    name: 'a screen that nobody knows',
    text: '[EDID=VSC-TD2220]\nkernel=a\n',
    model: 'pi4',
    kernel: undefined,
    uncertain: '[EDID=VSC-TD2220]',
  },
  {
    name: 'a pin',
    text: '[pi4]\n[gpio4=1]\nkernel=a\n',
    model: 'pi4',
    kernel: undefined,
    uncertain: '[pi4] [gpio4=1]',
  },
  { name: 'a pin on another model', text: '[gpio4=1]\n[pi3]\nkernel=a\n', model: 'pi4', kernel: undefined },
  {
    name: 'a register of the EEPROM',
    text: '[bootvar0=42]\nkernel=a\n',
    model: 'pi5',
    kernel: undefined,
    uncertain: '[bootvar0=42]',
  },
  { name: 'no tryboot', text: 'kernel=a\n[tryboot]\nkernel=b\n', model: 'pi5', kernel: 'a' },
  {
    name: 'tryboot',
    text: 'kernel=a\n[tryboot]\nkernel=b\n',
    model: 'pi5',
    situation: { tryboot: true },
    kernel: 'b',
  },
  { name: 'the first partition', text: '[boot_partition=1]\nkernel=a\n', model: 'pi5', kernel: 'a' },
  {
    name: 'the partition it boots from',
    text: '[boot_partition=1]\nkernel=a\n[boot_partition=2]\nkernel=b\n',
    model: 'pi5',
    situation: { partition: 2 },
    kernel: 'b',
  },
  { name: 'partitions above', text: '[boot_partition>1]\nkernel=a\n', model: 'pi5', kernel: undefined },
  {
    name: 'partitions by bits',
    text: '[boot_partition&2]\nkernel=a\n[boot_partition&1=0]\nkernel=b',
    model: 'pi5',
    situation: { partition: 2 },
    kernel: 'b',
  },
  {
    name: 'no reboot asked for a partition',
    text: '[partition=2]\nkernel=a\n',
    model: 'pi5',
    kernel: undefined,
  },
  { name: 'comments and carriage returns', text: '#kernel=a\r\nkernel=b # c\r\n', model: 'pi4', kernel: 'b' },
  { name: 'a byte-order mark', text: '\ufeffkernel=a\n', model: 'pi4', kernel: 'a' },
  {
    name: 'characters past the 98th are cut off',
    text: `kernel=${'k'.repeat(120)}\n`,
    model: 'pi4',
    kernel: 'k'.repeat(91),
  },
]

for (const { name, text, model, kernel, situation = { serial: 'a1000001' }, uncertain } of cases)
  test(`config.txt: ${name}`, async () => {
    const settings = await readSettings(text, boards[model], situation)
    assert.equal(settings.get('kernel'), kernel)
    assert.deepEqual(
      settings.uncertain.map(({ filter }) => filter),
      uncertain === undefined ? [] : [uncertain],
    )
  })

test('config.txt: initramfs lines add up, those under another model’s filter left out', async () => {
  const text = 'initramfs a,b followkernel\n[pi3]\ninitramfs c\n[all]\nramfsfile=d\n'
  assert.deepEqual((await readSettings(text, boards.pi5, {})).initramfs, ['a', 'b', 'd'])
})

test('config.txt: an included file is read in place, its filters go on after it', async () => {
  const files: Record<string, string> = { 'user.txt': 'kernel=b\n[pi3]\n', 'self.txt': 'include self.txt\n' }
  const read = (text: string) => readSettings(text, boards.pi5, {}, async (name) => files[name])
  const settings = await read('kernel=a\ninclude user.txt\nkernel=c\n')
  assert.equal(settings.get('kernel'), 'b')
  assert.deepEqual(settings.where('kernel'), {
    ...{ key: 'kernel', value: 'b', file: 'user.txt', line: 1, filter: '' },
  })
  assert.equal((await read('include user.txt\n[all]\nkernel=c\n')).get('kernel'), 'c')
  assert.equal((await read('[pi3]\ninclude user.txt\n')).get('kernel'), undefined)
  assert.equal((await read('include self.txt\nkernel=c\ninclude gone.txt\n')).get('kernel'), 'c')
})
