/** Programs are looked for where the system keeps them, never in the folder one stands in. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

test('an empty PATH, or an empty entry of it, is not the current folder', (t) => {
  const cwd = tempFolder(t)
  writeFileSync(join(cwd, 'whoever'), '#!/bin/sh\necho ran\n')
  chmodSync(join(cwd, 'whoever'), 0o755)
  const module = join(packageRoot(), 'build/src/io/run-program.js')
  const script = `import { runProgram } from ${JSON.stringify(module)}
    const ran = await runProgram('whoever', []).catch((error) => ({ error }))
    process.stdout.write(JSON.stringify(ran.stdout ?? ''))`
  for (const PATH of ['', ':', '/nonexistent::', '::/bin']) {
    const said = run(process.execPath, ['--input-type=module', '-e', script], { cwd, env: { PATH } })
    assert.doesNotMatch(said.stdout, /ran/, PATH)
  }
})
