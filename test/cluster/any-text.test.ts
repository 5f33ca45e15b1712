import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { head, parse, readStory, storyNames } from './support.ts'

test('property: any text gives a cluster or mistakes, never an exception', async () => {
  const yamlish = fc.array(
    fc.constantFrom(
      'cluster',
      'nodes',
      ':',
      ' ',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '&a',
      '*a',
      '!t',
      '|',
      '>',
      '#',
      ',',
      '?',
      'a',
      '0',
      '\t',
      '---',
      '%',
      '<<',
      '\ufeff',
      '\u0000',
      '🦊',
      'null',
      '~',
      '__proto__',
    ),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        yamlish.map((parts) => parts.join('')),
      ),
      async (text) => {
        const { cluster, mistakes } = await parse(text)
        assert.ok(cluster === undefined ? mistakes.length > 0 : mistakes.length === 0)
      },
    ),
    { numRuns: 400 },
  )
})

test('property: a story with one place changed gives a cluster or mistakes at places that exist', async () => {
  const nasty = [
    '',
    '"',
    "'",
    '$(id)',
    '%s',
    '\n',
    '-',
    ': ',
    '{',
    ']',
    '&x ',
    '*x',
    '\t',
    '1e9',
    'null',
    '..',
    '\u0000',
    '🦊',
    '# ',
    '!!binary ',
    '~',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...storyNames),
      fc.nat(),
      fc.nat(12),
      fc.constantFrom(...nasty),
      async (story, at, cut, put) => {
        const text = readStory(story)
        const offset = at % text.length
        const changed = text.slice(0, offset) + put + text.slice(offset + cut)
        const { cluster, mistakes } = await parse(changed)
        assert.ok(cluster === undefined ? mistakes.length > 0 : mistakes.length === 0)
        const lines = changed.split(/\r\n|\n|\r/)
        for (const { line, column, message, hint } of mistakes) {
          assert.ok(line >= 1 && line <= lines.length, `${line}: ${message}`)
          assert.ok(
            column >= 1 && column <= [...(lines[line - 1] ?? '')].length + 1,
            `${line}:${column}: ${message}`,
          )
          assert.ok(message !== '' && hint !== undefined && hint !== '', message)
          assert.ok(!/undefined|\[object/.test(message + hint), message)
        }
      },
    ),
    { numRuns: 400 },
  )
})

test('nasty values are refused with their place, or kept to the letter', async () => {
  const values = [
    '"',
    "'",
    '$(reboot)',
    '`id`',
    '%s',
    'a\nb',
    'a\u0000b',
    '-rf',
    '\\',
    'ü🦊',
    ' a ',
    '*',
    'a;b',
    '\u202eabc',
  ]
  for (const value of values) {
    const quoted = JSON.stringify(value)
    const { cluster } = await parse(
      `${head}nodes: { a: { model: pi4, wifi: { ssid: ${quoted}, country: DE } } }`,
    )
    if (cluster !== undefined) assert.equal(cluster.nodes[0]?.wifi?.ssid, value)
    else assert.ok(value.includes('\n') || value.includes('\u0000'))
    for (const settings of [
      `user: { name: ${quoted} }`,
      `locale: { keymap: ${quoted} }`,
      `locale: { timezone: ${quoted} }`,
      `interface: ${quoted}`,
      `labels: { a: ${quoted} }`,
      `mac: ${quoted}`,
    ]) {
      const { mistakes } = await parse(`${head}nodes: { a: { model: pi4, ${settings} } }`)
      assert.equal(mistakes.length, 1, settings)
    }
  }
})
