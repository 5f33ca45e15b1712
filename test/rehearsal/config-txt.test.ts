import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Model } from '../../src/cluster/node.ts'
import { boards } from '../../src/rehearsal/boards.ts'
import { readSettings } from '../../src/rehearsal/firmware/config-txt.ts'

const cases: { name: string; text: string; model: Model; kernel: string | undefined }[] = [
  { name: 'the last value wins', text: 'kernel=a\nkernel=b\n', model: 'pi4', kernel: 'b' },
  { name: 'another model’s section', text: '[pi3]\nkernel=a\n', model: 'pi4', kernel: undefined },
  { name: 'a 3B+ sees what a 3B sees', text: '[pi3]\nkernel=a\n', model: 'pi3b+', kernel: 'a' },
  { name: 'a 3B doesn’t see what a 3B+ sees', text: '[pi3+]\nkernel=a\n', model: 'pi3b', kernel: undefined },
  { name: 'a CM4 is a 4', text: '[pi4]\nkernel=a\n[cm4]\nkernel=b\n', model: 'cm4', kernel: 'b' },
  { name: 'all ends a section', text: '[pi3]\n[all]\nkernel=a\n', model: 'pi4', kernel: 'a' },
  { name: 'none', text: '[none]\nkernel=a\n', model: 'pi4', kernel: undefined },
  { name: 'board-type', text: '[board-type=0x14]\nkernel=a\n', model: 'cm4', kernel: 'a' },
  { name: 'another board-type', text: '[board-type=0x11]\nkernel=a\n', model: 'cm4', kernel: undefined },
  { name: 'its serial number', text: '[0xA1000001]\nkernel=a\n', model: 'pi4', kernel: 'a' },
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
  },
  { name: 'comments and carriage returns', text: '#kernel=a\r\nkernel=b # c\r\n', model: 'pi4', kernel: 'b' },
]

for (const { name, text, model, kernel } of cases)
  test(`config.txt: ${name}`, () => {
    assert.equal(readSettings(text, boards[model], 'a1000001').get('kernel'), kernel)
  })

test('config.txt: files joined to the RAM disk, and included ones', () => {
  const settings = readSettings(
    'initramfs a,b followkernel\n[pi3]\ninitramfs c\n[all]\ninclude usercfg.txt\n',
    boards.pi5,
    '0',
  )
  assert.deepEqual(settings.initramfs, ['a', 'b'])
  assert.deepEqual(settings.includes, ['usercfg.txt'])
})
