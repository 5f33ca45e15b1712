import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UsageError } from '../../src/errors.ts'
import { interfaceName } from '../../src/plain-value.ts'
import {
  dnsmasqValue,
  exportsPath,
  mountUnitName,
  overlayPath,
  plainPath,
  unitText,
  unitWord,
} from '../../src/servers/written-value.ts'
import { needTool, run } from '../support/tools.ts'

const rows: { value: string; dnsmasq: string; exports: string; unit: string }[] = [
  {
    value: '/srv/piimage/tftp',
    dnsmasq: '/srv/piimage/tftp',
    exports: '/srv/piimage/tftp',
    unit: '/srv/piimage/tftp',
  },
  { value: '/s/a b', dnsmasq: '"/s/a b"', exports: '/s/a\\040b', unit: '"/s/a b"' },
  { value: '/s/a,b', dnsmasq: '"/s/a,b"', exports: '/s/a\\054b', unit: '"/s/a,b"' },
  { value: '/s/#x', dnsmasq: '"/s/#x"', exports: '/s/\\043x', unit: '"/s/#x"' },
  { value: '/s/"q"', dnsmasq: '"/s/\\"q\\""', exports: '/s/\\042q\\042', unit: '"/s/\\"q\\""' },
  { value: '/s/a\\b', dnsmasq: '"/s/a\\\\b"', exports: '/s/a\\134b', unit: '"/s/a\\\\b"' },
  { value: '/s/50%h', dnsmasq: '"/s/50%h"', exports: '/s/50\\045h', unit: '/s/50%%h' },
  { value: '/s/*(rw)', dnsmasq: '"/s/*(rw)"', exports: '/s/\\052\\050rw\\051', unit: '"/s/*(rw)"' },
  { value: '/s/ä', dnsmasq: '"/s/ä"', exports: '/s/\\303\\244', unit: '"/s/ä"' },
]
for (const { value, dnsmasq, exports, unit } of rows)
  test(`each format writes ${value} in its own way`, () => {
    assert.equal(dnsmasqValue(value), dnsmasq)
    assert.equal(exportsPath(value), exports)
    assert.equal(unitWord(value), unit)
  })

const refused: { name: string; write: () => string }[] = [
  ...['/a\nport=53', '/a\rb', '/a\tb', '/a\u0000', '/a\u2028b', '/\ud800'].flatMap((value) =>
    [dnsmasqValue, exportsPath, unitText, unitWord, plainPath].map((write) => ({
      name: `${write.name}: ${JSON.stringify(value)}`,
      write: () => write(value),
    })),
  ),
  ...['', '/', 'srv', 'srv/x', '/srv/../etc', '/srv/./x', '/srv//x', '/srv/'].map((value) => ({
    name: `no plain path: ${value}`,
    write: () => plainPath(value),
  })),
  ...['/a,b', '/a:b', '/a\\b', '/a"b'].map((value) => ({
    name: `no part of an overlay: ${value}`,
    write: () => overlayPath(value),
  })),
  ...['', 'eth*', 'eth0,wlan0', 'eth0 ', 'eth0\nport=53', '0123456789abcdef', '-eth0'].map((value) => ({
    name: `no interface: ${JSON.stringify(value)}`,
    write: () => interfaceName(value),
  })),
  { name: 'a line that would go on in the next one', write: () => unitText('/srv/x\\') },
  { name: 'a blank that a unit would lose', write: () => unitText('/srv/x ') },
  { name: 'a unit longer than a file name', write: () => mountUnitName(`/${'x'.repeat(250)}`) },
]
for (const { name, write } of refused)
  test(`refused: ${name}`, () => {
    assert.throws(write, (error) => error instanceof UsageError && (error.hint ?? '') !== '')
  })

test('mount units have the names that systemd-escape gives them', (t) => {
  if (needTool(t, 'systemd-escape', 'systemd') === undefined) return
  const name = fc
    .string({
      unit: fc.constantFrom('a', 'Z', '0', '.', '-', '_', ':', ' ', '%', 'ä', '\\', '"', '@'),
      maxLength: 8,
      minLength: 1,
    })
    .filter((part) => !/^\.\.?$/.test(part))
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
  fc.assert(
    fc.property(fc.array(path, { minLength: 20, maxLength: 20 }), (paths) => {
      const ran = run('systemd-escape', ['-p', '--suffix=mount', '--', ...paths])
      assert.equal(ran.stderr, '')
      assert.equal(ran.stdout.trimEnd(), paths.map(mountUnitName).join(' '))
    }),
    { numRuns: 20 },
  )
})
