import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PlistValue, parsePlist } from '../../src/drives/plist.ts'

const head = '<?xml version="1.0"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "x">\n'
const cases: { name: string; body: string; value: PlistValue }[] = [
  { name: 'an empty dict', body: '<dict/>', value: {} },
  { name: 'an open, empty dict', body: '<dict>\n</dict>', value: {} },
  {
    name: 'every kind of value',
    body: '<dict><key>a</key><string>x</string><key>b</key><integer>-7</integer><key>c</key><real>1.5</real><key>d</key><true/><key>e</key><false/><key>f</key><data>AAEC</data><key>g</key><date>2025-01-01T00:00:00Z</date></dict>',
    value: { a: 'x', b: -7, c: 1.5, d: true, e: false, f: 'AAEC', g: '2025-01-01T00:00:00Z' },
  },
  {
    name: 'nested arrays',
    body: '<array><array/><array><integer>500277792768</integer></array></array>',
    value: [[], [500277792768]],
  },
  {
    name: 'entities',
    body: '<string>a &amp; b &lt;c&gt; &#233;&#x1f600;</string>',
    value: 'a & b <c> é😀',
  },
  { name: 'empty strings', body: '<array><string></string><string/></array>', value: ['', ''] },
  { name: 'line breaks in a string', body: '<string>a\nb</string>', value: 'a\nb' },
]
for (const { name, body, value } of cases)
  test(`parsePlist: ${name}`, () =>
    assert.deepEqual(parsePlist(`${head}<plist version="1.0">${body}</plist>`), value))

const broken = [
  '',
  'bplist00',
  '<plist><dict><key>a</key></dict></plist>',
  '<plist><dict><string>a</string></dict></plist>',
  '<plist><array><string>a</string></plist>',
  '<plist><array>',
  '<plist><string>a</integer></plist>',
  '<plist><blink>a</blink></plist>',
  '<plist><dict/>',
]
for (const text of broken)
  test(`parsePlist refuses '${text}'`, () => {
    assert.throws(() => parsePlist(text), {
      name: 'FormatError',
      message: /^property list: .* at character \d+$/,
    })
  })
