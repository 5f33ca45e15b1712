/** Nothing that others wrote reaches a terminal as a command, in any voice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MistakesError, NetrootError, UsageError } from '../../src/errors.ts'
import { createOutput } from '../../src/report/output.ts'
import { formatTable } from '../../src/report/table.ts'
import { quoteJson, quoteLine, quoteText } from '../../src/terminal-text.ts'
import type { World } from '../../src/world.ts'

/** What a terminal acts on, what turns a line around, and what nobody sees. */
const hostile: readonly (readonly [string, string])[] = [
  ['a title', '\x1b]0;owned\x07'],
  ['a wiped line', '\x1b[2K\rcarter: its root is its generation’s'],
  ['a column', '\x9b31m'],
  ['DEL', 'a\x7fb'],
  ['backspaces', 'rm\b\bls'],
  ['NUL', 'a\0b'],
  ['a line of its own', 'a\nwarning: all is well'],
  ['a tab', 'a\tb'],
  ['NEL', 'a\x85b'],
  ['line separator', 'a\u2028b'],
  ['paragraph separator', 'a\u2029b'],
  ['right-to-left override', 'gpj\u202eexe'],
  ['isolate', 'a\u2066b\u2069'],
  ['Arabic letter mark', 'a\u061cb'],
  ['zero-width space', 'pay\u200bpal'],
  ['zero-width joiner', 'a\u200db'],
  ['word joiner', 'a\u2060b'],
  ['byte order mark', '\ufeffa'],
  ['soft hyphen', 'a\u00adb'],
  ['Hangul filler', 'a\u3164b'],
  ['a tag of plane 14', 'a\u{e0041}b'],
  ['half a surrogate pair', 'a\ud800b'],
]

/** What a terminal may be given: letters and signs, and line ends. */
const tame = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{DI}]*$/u

function listen(options: { json?: boolean; tty?: boolean } = {}) {
  let [stdout, stderr] = ['', '']
  const isTTY = options.tty ?? false
  const world = {
    stdout: { write: (text: string) => (stdout += text), isTTY },
    stderr: { write: (text: string) => (stderr += text) },
    now: () => new Date(0),
  } as unknown as World
  const output = createOutput(world, { json: options.json ?? false, quiet: false })
  return { output, read: () => ({ stdout, stderr }) }
}

for (const [what, text] of hostile) {
  test(`${what}: quoted in every voice, and in errors`, () => {
    const { output, read } = listen()
    output.print(text)
    output.note(text)
    output.warn(text)
    output.progress({ phase: 'write', subject: text, node: text, bytes: 5, totalBytes: 5 })
    output.printText(formatTable(['NAME'], [[text]]))
    const { stdout, stderr } = read()
    assert.equal(stdout.split('\n').length, 4, stdout)
    assert.equal(stderr.split('\n').length, 4, stderr)
    for (const line of `${stdout}${stderr}`.split('\n')) assert.match(line, tame)
    const error = new UsageError(`${text} is wrong`, { hint: `try ${text}` })
    for (const part of [error.message, error.hint ?? '']) assert.match(part, tame)
    const mistakes = new MistakesError([
      { file: text, line: 1, column: 1, message: text, hint: text },
      { file: text, line: 2, column: 1, message: text },
    ])
    assert.equal(mistakes.message.split('\n').length, 2)
    for (const line of mistakes.message.split('\n')) assert.match(line, tame)
  })

  test(`${what}: JSON carries it unchanged, and shows none of it`, () => {
    const { output, read } = listen({ json: true })
    output.event('file', { path: text, [text]: 1 })
    const { stdout } = read()
    assert.match(stdout.trimEnd(), tame)
    assert.deepEqual(JSON.parse(stdout), { event: 'file', path: text, [text]: 1 })
    assert.deepEqual(JSON.parse(quoteJson(JSON.stringify([text]))), [text])
  })

  test(`${what}: two texts that differ are shown differently`, () => {
    assert.notEqual(quoteLine(text), quoteLine(text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{DI}]/gu, '')))
  })
}

test('our own lines and tabs stay', () => {
  assert.equal(quoteText('a\tb\nc\r\n'), 'a\tb\nc\\u000d\n')
  const error = new NetrootError(['first', 'sec\nond'], { hint: ['one', 'two'] })
  assert.equal(error.message, 'first\nsec\\u000aond')
  assert.equal(error.hint, 'one\ntwo')
})

test('ordinary names of all scripts stay as they are', () => {
  for (const name of ['Büro', '日本語', 'Ελλάδα', 'a “quoted” name', 'C:\\path', '👍', 'עברית'])
    assert.equal(quoteLine(name), name)
})

test('a file for another program is itself in a pipe, and quoted on a terminal', () => {
  const text = 'Host a\n  # \x1b[2J\n'
  const pipe = listen()
  pipe.output.printFile(text)
  assert.equal(pipe.read().stdout, `${text}\n`)
  const screen = listen({ tty: true })
  screen.output.printFile(text)
  assert.equal(screen.read().stdout, 'Host a\n  # \\u001b[2J\n\n')
})
