import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfigTxtLine, editConfigTxt } from '../../src/boot/config-txt.ts'
import { FormatError, UsageError } from '../../src/errors.ts'

const all = (key: string, value: string): ConfigTxtLine => ({ filter: 'all', key, value })
const on = (filter: string, key: string, value: string): ConfigTxtLine => ({ filter, key, value })
const block = (...lines: string[]) => ['# BEGIN piimage', '[all]', ...lines, '# END piimage', ''].join('\n')

const cases: { name: string; before: string; lines: ConfigTxtLine[]; after: string }[] = [
  { name: 'empty file', before: '', lines: [all('arm_64bit', '1')], after: block('arm_64bit=1') },
  {
    name: 'a later value wins, the stock line stays',
    before: 'gpu_mem=64\n',
    lines: [all('gpu_mem', '16')],
    after: `gpu_mem=64\n${block('gpu_mem=16')}`,
  },
  {
    name: 'what the image says anyway is left out',
    before: 'gpu_mem=16\n',
    lines: [all('gpu_mem', '16')],
    after: 'gpu_mem=16\n',
  },
  {
    name: 'a value under a model further down would win there',
    before: 'gpu_mem=16\n[pi4]\ngpu_mem=76\n',
    lines: [all('gpu_mem', '16')],
    after: `gpu_mem=16\n[pi4]\ngpu_mem=76\n${block('gpu_mem=16')}`,
  },
  // A line that merely starts like the wanted one is another line.
  {
    name: 'longer value is no match',
    before: 'dtoverlay=vc4-kms-v3d\n',
    lines: [all('dtoverlay', 'vc4')],
    after: `dtoverlay=vc4-kms-v3d\n${block('dtoverlay=vc4')}`,
  },
  {
    name: 'an overlay of the device tree is not loaded twice',
    before: 'dtoverlay=dwc2\n',
    lines: [all('dtoverlay', 'dwc2')],
    after: 'dtoverlay=dwc2\n',
  },
  {
    name: 'the same under another filter is another line',
    before: '[cm5]\ndtoverlay=dwc2\n',
    lines: [all('dtoverlay', 'dwc2')],
    after: `[cm5]\ndtoverlay=dwc2\n${block('dtoverlay=dwc2')}`,
  },
  {
    name: 'repeated keys add up',
    before: '',
    lines: [all('dtoverlay', 'a'), all('dtoverlay', 'b')],
    after: block('dtoverlay=a', 'dtoverlay=b'),
  },
  {
    name: 'initramfs lines add up, and stand without =',
    before: '',
    lines: [all('initramfs', 'a'), all('initramfs', 'b')],
    after: block('initramfs a', 'initramfs b'),
  },
  {
    name: 'an initramfs line of the image is not said twice',
    before: 'initramfs a followkernel\n',
    lines: [all('initramfs', 'a'), all('initramfs', 'b')],
    after: `initramfs a followkernel\n${block('initramfs b')}`,
  },
  {
    name: 'a value under two filters is not the value under one',
    before: '[0xa1000001]\n[pi4]\ngpu_mem=16\n',
    lines: [on('pi4', 'gpu_mem', '16')],
    after:
      '[0xa1000001]\n[pi4]\ngpu_mem=16\n# BEGIN piimage\n[all]\n[pi4]\ngpu_mem=16\n[all]\n# END piimage\n',
  },
  {
    name: 'an included file may say otherwise',
    before: 'gpu_mem=16\ninclude user.txt\n',
    lines: [all('gpu_mem', '16')],
    after: `gpu_mem=16\ninclude user.txt\n${block('gpu_mem=16')}`,
  },
  {
    name: 'the later of two values',
    before: '',
    lines: [all('gpu_mem', '16'), all('gpu_mem', '32')],
    after: block('gpu_mem=32'),
  },
  {
    name: 'comment is left alone',
    before: '#uart=1\n',
    lines: [all('uart', '1')],
    after: `#uart=1\n${block('uart=1')}`,
  },
  // Lines after [cm5] apply to the CM5 only: appending blindly would lose the edit on every other model.
  {
    name: 'leaves a model filter first',
    before: '[cm5]\ndtoverlay=x\n',
    lines: [all('uart', '1')],
    after: `[cm5]\ndtoverlay=x\n${block('uart=1')}`,
  },
  {
    name: 'no final newline',
    before: 'gpu_mem=64',
    lines: [all('uart', '1')],
    after: `gpu_mem=64\n${block('uart=1')}`,
  },
  {
    name: 'a filter of ours, and [all] again after it',
    before: '',
    lines: [on('pi4', 'otg_mode', '1'), all('uart', '1')],
    after: block('uart=1', '[pi4]', 'otg_mode=1', '[all]'),
  },
  {
    name: 'Windows line ends are kept',
    before: '[pi4]\r\na=1\r\n',
    lines: [all('uart', '1')],
    after: `[pi4]\r\na=1\r\n${block('uart=1').replaceAll('\n', '\r\n')}`,
  },
]
for (const { name, before, lines, after } of cases) {
  test(`editConfigTxt: ${name}`, () => {
    assert.equal(editConfigTxt(before, lines), after)
    assert.equal(editConfigTxt(after, lines), after, 'a second run changes nothing')
    assert.equal(
      editConfigTxt(after, []),
      before === '' || before.endsWith('\n') ? before : `${before}\n`,
      'no lines, no block',
    )
  })
}

for (const line of [
  all('a', 'b\nc'),
  all('a b', '1'),
  all('a', 'ä'),
  all('a', 'x'.repeat(97)),
  on('pi4]\n[all', 'a', '1'),
  all('a=b', '1'),
]) {
  test(`editConfigTxt refuses ${JSON.stringify(line)}`, () => {
    assert.throws(() => editConfigTxt('', [line]), UsageError)
  })
}

test('a block without its end is not guessed at', () => {
  assert.throws(() => editConfigTxt('a=1\n# BEGIN piimage\nb=1\n', []), FormatError)
})
