/** `--help` of everything: fits a terminal, loads little, and the docs say the same. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { commands } from '../../src/commands/list.ts'
import { packageRoot } from '../../src/package-root.ts'
import { runPiimage } from '../support/project.ts'
import { run } from '../support/tools.ts'

const COLUMNS = 80

for (const words of [[], ...commands.map(({ name }) => [name])]) {
  test(`piimage ${[...words, '--help'].join(' ')} fits ${COLUMNS} columns`, async () => {
    const said = await runPiimage(packageRoot(), [...words, '--help'])
    assert.equal(said.status, 0, said.stderr)
    assert.match(said.stdout, /^piimage/)
    const wide = said.stdout.split('\n').filter((line) => [...line].length > COLUMNS)
    assert.deepEqual(wide, [])
  })
}

test('each command describes itself in the words of the list', async () => {
  for (const { name, describe, load } of commands) {
    const command = await load()
    assert.equal(command.describe, describe, name)
    assert.equal(command.command.split(' ', 1)[0], name)
  }
})

test('piimage --version says the version of package.json', async () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))
  const said = await runPiimage(packageRoot(), ['--version'])
  assert.deepEqual([said.status, said.stdout], [0, `${version}\n`])
})

const BEGIN = '<!-- commands -->\n'
const END = '<!-- /commands -->'

test('the table of commands in docs is the list (UPDATE=1 writes it)', async () => {
  const file = join(packageRoot(), 'docs/commands.md')
  const text = readFileSync(file, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)]
  assert.ok(begin >= BEGIN.length && end >= begin, 'docs/commands.md has both markers')
  const rows = await Promise.all(
    commands.map(async ({ describe, load }) => `| \`piimage ${(await load()).command}\` | ${describe} |\n`),
  )
  const table = `| command | does |\n|---|---|\n${rows.join('')}`
  const actual = text.slice(begin, end)
  if (process.env.UPDATE === '1' && actual !== table)
    writeFileSync(file, text.slice(0, begin) + table + text.slice(end))
  assert.equal(actual, table)
})

/** Prints each module that is asked for: runs before the program, in the loader's own thread. */
const spy = `
  import { register } from 'node:module'
  const hook = \`
    import { writeSync } from 'node:fs'
    export async function resolve(name, context, next) {
      writeSync(2, 'loads ' + name + '\\\\n')
      return next(name, context)
    }\`
  register('data:text/javascript,' + encodeURIComponent(hook))
`

for (const [words, never] of [
  [['--help'], /^(?:yaml|ajv|yauzl|openpgp|xz-decompress|\.\/commands\/(?!list|global-flags|yargs-state))/],
  [
    ['--version'],
    /^(?:yaml|ajv|yauzl|openpgp|xz-decompress|\.\/commands\/(?!list|global-flags|yargs-state))/,
  ],
] as const) {
  test(`piimage ${words.join(' ')} loads no command and no library of theirs`, () => {
    const cli = join(packageRoot(), 'build/src/cli.js')
    const hook = `data:text/javascript,${encodeURIComponent(spy)}`
    const { status, stderr } = run(process.execPath, ['--import', hook, cli, ...words])
    assert.equal(status, 0, stderr)
    const loaded = [...stderr.matchAll(/^loads (.*)$/gm)].map(([, name]) => name ?? '')
    assert.ok(loaded.includes('yargs'), 'the hook sees what is loaded')
    assert.deepEqual(
      loaded.filter((name) => never.test(name)),
      [],
    )
  })
}
