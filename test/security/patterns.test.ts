/**
 * Every regular expression of the source against long texts of one thing
 * repeated: blanks, line ends, brackets, quotes, digits, letters. In linear time
 * each takes less than a millisecond; one that backtracks takes seconds to
 * centuries, and is cut off.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { parse } from '@babel/parser'
import { packageRoot } from '../../src/package-root.ts'
import { held } from '../support/attack.ts'

interface Pattern {
  place: string
  source: string
  flags: string
}

const source = join(packageRoot(), 'src')

function* patternsOf(node: unknown, file: string): Generator<Pattern> {
  if (Array.isArray(node)) for (const item of node) yield* patternsOf(item, file)
  else if (typeof node === 'object' && node !== null) {
    const { type, pattern, flags, loc } = node as Record<string, unknown>
    if (type === 'RegExpLiteral') {
      const { line } = (loc as { start: { line: number } }).start
      yield { place: `${file}:${line}`, source: String(pattern), flags: String(flags) }
    }
    for (const [key, value] of Object.entries(node)) if (key !== 'loc') yield* patternsOf(value, file)
  }
}

const patterns = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .flatMap((name) => {
    const text = readFileSync(join(source, name), 'utf8')
    return [...patternsOf(parse(text, { sourceType: 'module', plugins: ['typescript'] }).program, name)]
  })

const LENGTH = 50_000
const CUT_OFF_MS = 2_000

const atoms = [
  ...' \n\t()[]{}"\'01aA-_/.:=<>\\$#,@%é',
  ...[' \n', '\r\n', 'a ', '0.', 'a-', '"a', 'aA0', '=a', '/a', '- '],
]

/** What leads into the middle of a pattern: its own words. */
const beginnings = (pattern: string): string[] => [
  '',
  ...new Set((pattern.match(/[A-Za-z_-]{2,}/g) ?? []).slice(0, 6)),
]

/** @returns the first text that took too long */
function findSlow({ source: pattern, flags }: Pattern): string | undefined {
  const context = createContext({ text: '', pattern: new RegExp(pattern, flags) })
  for (const beginning of beginnings(pattern)) {
    for (const atom of atoms) {
      context.text = `${beginning}${atom.repeat(LENGTH / atom.length)}\u0001`
      try {
        runInContext('text.replace(pattern, "")', context, { timeout: CUT_OFF_MS })
      } catch {
        return `${beginning}${JSON.stringify(atom)}…`
      }
    }
  }
  return undefined
}

test('the judge knows patterns that backtrack', () => {
  const cubic = String.raw`^\s*-?\s*(?:passwd|password)["']?\s*[:=]\s*\S`
  for (const pattern of ['(?:a+)+$', cubic])
    assert.notEqual(findSlow({ place: '', source: pattern, flags: 'm' }), undefined, pattern)
})

test('no regular expression of the source takes more than linear time', (t) => {
  assert.ok(patterns.length > 300, `only ${patterns.length} were found`)
  const slow = patterns.flatMap((pattern) => {
    const text = findSlow(pattern)
    return text === undefined ? [] : [`${pattern.place} /${pattern.source}/${pattern.flags} on ${text}`]
  })
  assert.deepEqual(slow, [])
  held(t, patterns.length)
})
