/** Nasty values through every writer: they come out literally on the other side, or are refused. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import {
  formatUserData,
  formatYaml,
  mergeTrees,
  parseUserData,
  type TreeMap,
} from '../../src/boot/cloud-init.ts'
import { formatEnvFile, quoteShell } from '../../src/env-file.ts'
import { FormatError, UsageError } from '../../src/errors.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { nasty } from './nasty.ts'

const unprintable = ['a\nb', 'a\rb', 'a\0b', '\u001b[31m', '\u007f', '\u0085', '\u2028']

test('quoteShell: sh prints what went in', (t) => {
  const sh = needTool(t, 'dash', 'dash')
  if (sh === undefined) return
  for (const value of [...nasty, 'two\nlines', '\u001b']) {
    const result = run('dash', ['-c', `printf %s ${quoteShell(value)}`])
    assert.equal(result.stdout, value)
  }
})

test('formatEnvFile: sh reads what went in', (t) => {
  const sh = needTool(t, 'dash', 'dash')
  if (sh === undefined) return
  const file = join(tempFolder(t), 'node.env')
  for (const value of nasty) {
    writeFileSync(file, formatEnvFile({ FIRST: 'x', VALUE: value }))
    const result = run('dash', ['-eu', '-c', '. "$1"; printf %s "$VALUE"', 'sh', file])
    assert.equal(result.stdout, value, result.stderr)
  }
})

test('formatEnvFile refuses line ends and control characters', () => {
  for (const value of unprintable) assert.throws(() => formatEnvFile({ VALUE: value }), UsageError)
})

test('formatYaml: YAML 1.1 and 1.2 readers see the same text', async (t) => {
  const { parse } = await import('yaml')
  const tree = {
    values: [...nasty, ...unprintable],
    keys: Object.fromEntries(nasty.map((value, index) => [value, index])),
  }
  const text = formatYaml(tree)
  assert.match(text, /^[\n -~]*$/, 'ASCII only')
  for (const version of ['1.1', '1.2'] as const) assert.deepEqual(parse(text, { version }), tree)
  if (needTool(t, 'python3', 'python3-yaml') === undefined) return
  const result = run(
    'python3',
    ['-c', 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)'],
    { input: text },
  )
  if (result.stderr.includes('No module named')) throw new Error('needs PyYAML: apt-get install python3-yaml')
  assert.deepEqual(JSON.parse(result.stdout), tree, 'as cloud-init reads it')
})

test('formatYaml: any tree comes back', () => {
  const tree = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()) as fc.Arbitrary<TreeMap>
  // YAML 1.1 takes the key << for a merge, quoted or not: such a tree is refused.
  const writable = tree.filter((value) => !JSON.stringify(value).includes('"<<":'))
  fc.assert(
    fc.property(writable, (value) => formatYaml(value).length >= 0),
    { numRuns: 200 },
  )
  assert.throws(() => formatYaml({ a: { '<<': 0 } }), UsageError)
})

test('formatYaml refuses half a character', () => {
  assert.throws(() => formatYaml({ a: '\ud800' }), UsageError)
})

test('user-data: first line, and back', () => {
  const text = formatUserData({ hostname: 'a' }, 'made by a test')
  assert.equal(text.split('\n', 1)[0], '#cloud-config')
  assert.deepEqual(parseUserData(text, 'x'), { hostname: 'a' })
  assert.deepEqual(parseUserData('#cloud-config\n# only comments\n', 'x'), {})
})

for (const [name, text] of [
  ['no first line', 'hostname: a\n'],
  ['a space before it', ' #cloud-config\n'],
  ['a script', '#!/bin/sh\n'],
  ['a list', '#cloud-config\n- a\n'],
  ['a tab', '#cloud-config\na:\n\tb: 1\n'],
  ['twice the same key', '#cloud-config\na: 1\na: 2\n'],
] as const) {
  test(`parseUserData refuses ${name}`, () => {
    assert.throws(() => parseUserData(text, 'user-data'), FormatError)
  })
}

test('mergeTrees: maps by key, lists appended, else the later one', () => {
  const base = { a: 1, list: [1], map: { x: 1, y: 1 }, gone: null }
  const over = { a: 2, list: [2], map: { y: 2 }, gone: [3] }
  assert.deepEqual(mergeTrees(base, over), { a: 2, list: [1, 2], map: { x: 1, y: 2 }, gone: [3] })
  assert.throws(
    () => mergeTrees({ m: { a: 1 } }, { m: { a: [1] } }),
    /m\.a is a plain value in one overlay and a list/,
  )
})

test('YAML whose keys are collections is read without words of the library', async (t) => {
  const warnings: Error[] = []
  const listen = (warning: Error): unknown => warnings.push(warning)
  process.on('warning', listen)
  t.after(() => process.off('warning', listen))
  assert.deepEqual(parseUserData('#cloud-config\n? [a, b]\n: c\n', 'user-data'), { '[ a, b ]': 'c' })
  await setImmediate()
  assert.deepEqual(warnings, [])
})
