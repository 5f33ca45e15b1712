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

test('redact: the longest first, every line of it, and as JSON writes it', () => {
  assert.equal(redact('x abcdef abcd', ['abcd', 'abcdef']), 'x <secret> <secret>')
  assert.equal(redact('+first\n+second\n', ['first\nsecond\n']), '+<secret>\n+<secret>\n')
  assert.equal(redact('"pa\\"ss"', ['pa"ss']), '"<secret>"')
})
