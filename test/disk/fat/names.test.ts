/** Names: what is allowed, what is the same, and which alias a long name gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  aliasChecksum,
  checkName,
  chooseAlias,
  foldName,
  isShortName,
  readAlias,
  readLabel,
} from '../../../src/disk/fat/names.ts'
import { UsageError } from '../../../src/errors.ts'

const aliases: { name: string; taken?: string[]; alias: string }[] = [
  { name: 'CONFIG.TXT', alias: 'CONFIG  TXT' },
  { name: 'ssh', alias: 'SSH        ' },
  { name: 'cmdline.txt', alias: 'CMDLINE TXT' },
  { name: 'Mixed.Txt', alias: 'MIXED   TXT' },
  { name: 'user-data', alias: 'USER-D~1   ' },
  { name: 'meta-data', alias: 'META-D~1   ' },
  { name: 'network-config', taken: ['NETWOR~1   '], alias: 'NETWOR~2   ' },
  { name: 'bcm2712-rpi-5-b.dtb', taken: ['BCM271~1DTB', 'BCM271~3DTB'], alias: 'BCM271~2DTB' },
  { name: 'issue.text', alias: 'ISSUE~1 TEX' },
  { name: 'two.dots.conf', alias: 'TWODOT~1CON' },
  { name: '.profile', alias: 'PROFIL~1   ' },
  { name: 'a b.txt', alias: 'AB~1    TXT' },
  { name: 'a+b=c.txt', alias: 'A_B_C~1 TXT' },
  { name: 'Grüße.txt', alias: 'GR__E~1 TXT' },
  { name: '🍓.txt', alias: '_~1     TXT' },
  { name: '東京', alias: '__~1       ' },
  { name: 'ssh', taken: ['SSH        '], alias: 'SSH~1      ' },
  {
    name: 'longname.conf',
    taken: Array.from({ length: 9 }, (_, i) => `LONGNA~${i + 1}CON`),
    alias: 'LONGN~10CON',
  },
]
for (const { name, taken, alias } of aliases) {
  test(`alias of ${name}${taken === undefined ? '' : ` beside ${taken.length}`}`, () => {
    assert.equal(chooseAlias(name, new Set(taken)), alias)
  })
}

const shortNames: [string, boolean][] = [
  ['CONFIG.TXT', true],
  ['A', true],
  ['KERNEL8.IMG', true],
  ['ssh', false],
  ['Config.TXT', false],
  ['NINECHARS', false],
  ['A.TEXT', false],
  ['A.B.C', false],
  ['A B', false],
  ['.A', false],
  ['Ä', false],
]
for (const [name, expected] of shortNames) {
  test(`${name} ${expected ? 'needs no long name' : 'needs a long name'}`, () => {
    assert.equal(isShortName(name), expected)
  })
}

const refused = [
  '',
  '.',
  '..',
  'a/b',
  'a\\b',
  'a:b',
  'a*',
  'a?',
  'a"b',
  'a<b',
  'a>b',
  'a|b',
  'a\nb',
  'a\0',
  'dot.',
  'blank ',
  'x'.repeat(256),
  '\ud83c',
]
for (const name of refused) {
  test(`no file name: ${JSON.stringify(name.slice(0, 10))}`, () => {
    assert.throws(() => checkName(name), UsageError)
  })
}
for (const name of ['x'.repeat(255), ' leading', 'ünï 🍓', "it's", '-rf', '%PATH%', '$(x)']) {
  test(`a file name: ${JSON.stringify(name.slice(0, 10))}`, () => checkName(name))
}

const same: [string, string, boolean][] = [
  ['Config.TXT', 'cONFIG.txt', true],
  ['grüße', 'GRÜßE', true],
  ['straße', 'STRASSE', false],
  ['ssh', 'ssh2', false],
  ['ﬁn', 'FIN', false],
]
for (const [a, b, expected] of same) {
  test(`${a} and ${b} are ${expected ? 'the same' : 'different'}`, () => {
    assert.equal(foldName(a) === foldName(b), expected)
  })
}

const read: { alias: string; flags: number; name: string }[] = [
  { alias: 'SSH        ', flags: 0, name: 'SSH' },
  { alias: 'SSH        ', flags: 0x08, name: 'ssh' },
  { alias: 'CONFIG  TXT', flags: 0x18, name: 'config.txt' },
  { alias: 'CONFIG  TXT', flags: 0x10, name: 'CONFIG.txt' },
  { alias: 'GR\x9a\xe1E   TXT', flags: 0, name: 'GRÜßE.TXT' },
  { alias: '\x05X         ', flags: 0, name: 'σX' },
]
for (const { alias, flags, name } of read) {
  test(`${JSON.stringify(alias)} with flags ${flags} is ${name}`, () => {
    assert.equal(readAlias(alias, flags), name)
  })
}

test('checksum of an alias, as in the format’s description', () => {
  assert.equal(aliasChecksum('FILENAMETXT'), sumByRotation('FILENAMETXT'))
  assert.equal(aliasChecksum('USER-D~1   '), sumByRotation('USER-D~1   '))
})

/** The sum as the specification writes it: rotate right by one, add. */
function sumByRotation(alias: string): number {
  const sum = new Uint8Array(1)
  for (const c of alias) sum[0] = ((sum[0] as number) >> 1) + ((sum[0] as number) << 7) + c.charCodeAt(0)
  return sum[0] as number
}

test('a label that would steer a terminal is shown harmless', () => {
  assert.equal(readLabel('BOOTFS     '), 'BOOTFS')
  assert.equal(readLabel('A \x1b[2J\x9b    '), 'A ?[2J¢')
})
