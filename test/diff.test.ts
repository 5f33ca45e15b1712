import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { redact } from '../src/customise/describe-boot-plan.ts'
import { formatDiff } from '../src/diff.ts'
import { tempFolder } from './support/temp.ts'
import { needTool, run } from './support/tools.ts'

test('formatDiff: patch(1) makes the one text into the other', (t) => {
  if (needTool(t, 'patch', 'patch') === undefined) return
  const folder = tempFolder(t)
  const file = join(folder, 'a')
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', '', '-', '+ x'), { maxLength: 30 })
    .map((lines) => lines.map((line) => `${line}\n`).join(''))
  fc.assert(
    fc.property(text, text, (before, after) => {
      const diff = formatDiff(before, after)
      if (before === after) return assert.equal(diff, '')
      writeFileSync(file, before)
      const patched = run('patch', ['-s', '-f', '-F0', file], { input: `--- a\n+++ a\n${diff}` })
      assert.equal(patched.status, 0, `${patched.stdout}${diff}`)
      let result = ''
      try {
        result = readFileSync(file, 'utf8')
      } catch {
        // patch removes a file that became empty.
      }
      assert.equal(result, after)
    }),
    { numRuns: 60 },
  )
})

test('formatDiff: as diff -u would', () => {
  assert.equal(formatDiff('a\nb\nc\n', 'a\nx\nc\n'), '@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n')
  assert.equal(formatDiff('', 'a\n'), '@@ -0,0 +1,1 @@\n+a\n')
  assert.equal(formatDiff('a', 'a\n'), '@@ -1,2 +1,1 @@\n a\n-\\ No newline at end of file\n')
  const long = Array.from({ length: 20 }, (_, index) => `${index}\n`).join('')
  assert.equal(
    formatDiff(long, long.replace('10\n', 'x\n')),
    '@@ -8,7 +8,7 @@\n 7\n 8\n 9\n-10\n+x\n 11\n 12\n 13\n',
  )
})

test('formatDiff: what differs is compared a bounded number of times a line', () => {
  const lines = (count: number, text: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => `${text(index)}\n`).join('')
  const count = 4000
  const old = lines(count, (index) => `/srv/nodes/n${index}/x 10.0.0.${index}(rw)`)
  const cases: Record<string, [before: string, after: string]> = {
    'all new': ['', old],
    'all gone': [old, ''],
    'all changed': [old, old.replaceAll('/x ', '/y ')],
    'every second changed': [
      old,
      lines(count, (i) => `/srv/nodes/n${i}/${i % 2 ? 'x' : 'y'} 10.0.0.${i}(rw)`),
    ],
    'the other way round': [old, old.trimEnd().split('\n').reverse().join('\n')],
    'one added': [old, `${old}z\n`],
    'one line again and again': [lines(count, () => 'a'), lines(count, (i) => (i % 2 ? 'a' : 'b'))],
  }
  for (const [what, [before, after]] of Object.entries(cases)) {
    let compared = 0
    const diff = formatDiff(before, after, (one, other) => {
      compared += 1
      return one === other
    })
    assert.ok(compared <= 32 * count, `${what}: ${compared} comparisons`)
    const [, hunk = ''] = /^@@ (.*) @@$/m.exec(diff) ?? []
    assert.match(hunk, /^-\d+,\d+ \+\d+,\d+$/, what)
  }
})

test('formatDiff: beyond what is compared, old lines are removed and new ones added', (t) => {
  if (needTool(t, 'patch', 'patch') === undefined) return
  const file = join(tempFolder(t), 'a')
  const lines = (text: (index: number) => string) => Array.from({ length: 900 }, (_, index) => text(index))
  const before = ['head', ...lines((i) => `old ${i}`), 'tail'].join('\n')
  const after = ['head', ...lines((i) => (i % 2 ? `old ${i}` : `new ${i}`)), 'tail', 'end', ''].join('\n')
  const diff = formatDiff(`${before}\n`, after)
  assert.match(diff, /^@@ -1,902 \+1,903 @@\n head\n-old 0\n-old 1\n/)
  writeFileSync(file, `${before}\n`)
  const patched = run('patch', ['-s', '-f', '-F0', file], { input: `--- a\n+++ a\n${diff}` })
  assert.equal(patched.status, 0, patched.stdout)
  assert.equal(readFileSync(file, 'utf8'), after)
})

test('redact: the longest first, every line of it, and as JSON writes it', () => {
  assert.equal(redact('x abcdef abcd', ['abcd', 'abcdef']), 'x <secret> <secret>')
  assert.equal(redact('+first\n+second\n', ['first\nsecond\n']), '+<secret>\n+<secret>\n')
  assert.equal(redact('"pa\\"ss"', ['pa"ss']), '"<secret>"')
})
