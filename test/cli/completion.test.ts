/** Tab completion, asked of the shells themselves. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { demoProject } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'

/** A folder with a cluster, a file, and `piimage` on the PATH. */
function workplace(t: TestContext): { folder: string; env: Record<string, string> } {
  const { file } = demoProject(t)
  mkdirSync(file('bin'))
  writeFileSync(
    file('bin/piimage'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(packageRoot(), 'build/src/cli.js')}' "$@"\n`,
  )
  chmodSync(file('bin/piimage'), 0o755)
  writeFileSync(file('notes.txt'), '')
  return {
    folder: file('.'),
    env: { PATH: `${file('bin')}:${process.env.PATH}`, HOME: file('.'), TERM: 'dumb' },
  }
}

/** What is typed, and the candidates that must be among those offered (all of them, where `only`). */
const cases: { line: string; offers: string[]; only?: boolean }[] = [
  { line: 'piimage fla', offers: ['flash'], only: true },
  { line: 'piimage flash --no', offers: ['--node', '--no-verify', '--no-color'], only: true },
  { line: 'piimage flash --node ', offers: ['hammond', 'oneil', 'carter'], only: true },
  { line: 'piimage flash --node o', offers: ['oneil'], only: true },
  { line: 'piimage flash --node=c', offers: ['--node=carter'], only: true },
  { line: 'piimage --cluster cluster.yaml plan --node h', offers: ['hammond'], only: true },
  { line: 'piimage init --template cluster', offers: ['clusterhat'], only: true },
  { line: 'piimage export s', offers: ['ssh-config'], only: true },
  { line: 'piimage images ', offers: ['list', 'lock', 'fetch', 'verify', 'prune'] },
  { line: 'piimage flash --image demo-', offers: ['demo-trixie-arm64-lite@2025-12-05'], only: true },
  { line: 'piimage flash --model pi4', offers: ['pi4', 'pi400'], only: true },
  { line: 'piimage completion ', offers: ['bash', 'zsh', 'fish'], only: true },
  { line: 'piimage inspect no', offers: [] },
]

test('piimage completion words: the candidates for a command line', (t) => {
  const { folder, env } = workplace(t)
  for (const { line, offers, only } of cases) {
    const words = line.split(' ').slice(1)
    const { status, stdout, stderr } = run(
      join(folder, 'bin/piimage'),
      ['completion', 'words', '--', ...words],
      {
        cwd: folder,
        env,
      },
    )
    assert.equal(status, 0, stderr)
    const texts = stdout.split('\n').flatMap((row) => row.split('\t')[0] || [])
    if (only) assert.deepEqual(texts.sort(), [...offers].sort(), line)
    else for (const offer of offers) assert.ok(texts.includes(offer), `${line} → ${texts}`)
  }
})

test('a cluster file with mistakes in it still names its nodes, and a missing one is no error', (t) => {
  const { folder, env } = workplace(t)
  writeFileSync(join(folder, 'half.yaml'), 'cluster: [\nnodes:\n  alpha: { model: pi9 }\n  beta:\n')
  for (const [file, names] of [
    ['half.yaml', ''],
    ['absent.yaml', ''],
    ['cluster.yaml', 'oneil'],
  ] as const) {
    const words = ['completion', 'words', '--', 'plan', '--cluster', file, '--node', 'o']
    const { status, stdout, stderr } = run(join(folder, 'bin/piimage'), words, { cwd: folder, env })
    assert.deepEqual([status, stderr, stdout.split('\t')[0]?.trim()], [0, '', names], file)
  }
})

test('bash offers them', (t) => {
  const bash = needTool(t, 'bash', 'bash')
  if (bash === undefined) return
  const { folder, env } = workplace(t)
  // What readline does: the words broken, the function called, its answer printed.
  const script = `source <(piimage completion bash)
    COMP_LINE=$1 COMP_POINT=\${#1}
    _piimage; printf '%s\\n' "\${COMPREPLY[@]}"`
  const ask = (line: string): string[] => {
    const { status, stdout, stderr } = run(bash, ['--norc', '-c', script, 'bash', line], { cwd: folder, env })
    assert.equal(status, 0, stderr)
    return stdout.split('\n').filter((text) => text !== '')
  }
  assert.deepEqual(ask('piimage flash --no').sort(), ['--no-color', '--no-verify', '--node'])
  assert.deepEqual(ask('piimage plan --node '), ['hammond', 'oneil', 'carter'])
  // Broken at =, and at the @ of a key: only what stands behind it is wanted.
  assert.deepEqual(ask('piimage plan --node=o'), ['oneil'])
  assert.deepEqual(ask('piimage flash --image demo-trixie-arm64-lite@20'), ['2025-12-05'])
  assert.deepEqual(ask('piimage inspect no'), [])
})

test('zsh completes them at its own prompt', (t) => {
  const [zsh, python] = [needTool(t, 'zsh', 'zsh'), needTool(t, 'python3', 'python3')]
  if (zsh === undefined || python === undefined) return
  const { folder, env } = workplace(t)
  // The prompt ends in the sequence that switches bracketed paste on. Each key is typed when the one before it has shown what it does.
  const typed = [
    ['.', "PS1='ready> '; autoload -U compinit; compinit -u -d $HOME/.zcompdump\n"],
    ['ready> .{0,3}2004h', 'source <(piimage completion zsh)\n'],
    ['ready> .{0,3}2004h', 'piimage flash --prob\t'],
    ['--probe ', '--node ham\t'],
    ['hammond ', '\u0015piimage inspect no\t'],
    ['notes\\.txt', '\u0015exit\n'],
  ]
  const helper = join(packageRoot(), 'test/support/terminal.py')
  const said = run(python, [helper, JSON.stringify(typed), zsh, '-f', '-i'], { cwd: folder, env })
  assert.equal(said.status, 0, said.stdout)
})

test('fish offers them, with what they mean', (t) => {
  const fish = needTool(t, 'fish', 'fish')
  if (fish === undefined) return
  const { folder, env } = workplace(t)
  const ask = (line: string): string[] => {
    const script = 'piimage completion fish | source; complete -C $argv[1]'
    const { status, stdout, stderr } = run(fish, ['--no-config', '-c', script, line], { cwd: folder, env })
    assert.equal(status, 0, stderr)
    return stdout.split('\n').filter((text) => text !== '')
  }
  assert.deepEqual(ask('piimage plan --node o'), ['oneil\tpi3b+'])
  assert.match(ask('piimage flash --prob').join(), /^--probe\t\w/)
  assert.deepEqual(ask('piimage inspect note'), ['notes.txt'])
})
