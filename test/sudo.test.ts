/** How sudo is said: it looks in folders of its own, and not in a person's. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { SUDO_ANYWHERE, sudoPiimage } from '../src/sudo.ts'
import { tempFolder } from './support/temp.ts'
import { run } from './support/tools.ts'

test('sudo is said with PATH where piimage lies in a folder of a person’s', (t) => {
  const own = tempFolder(t)
  const program = join(own, 'piimage')
  assert.equal(sudoPiimage({}), 'sudo piimage')
  assert.equal(sudoPiimage({ PATH: own }), 'sudo piimage', 'it is nowhere')
  writeFileSync(program, '#!/usr/bin/env sh\necho "started with $*"\n', { mode: 0o644 })
  assert.equal(sudoPiimage({ PATH: own }), 'sudo piimage', 'it is no program')
  chmodSync(program, 0o755)
  assert.equal(sudoPiimage({ PATH: own }), SUDO_ANYWHERE)

  // The person's shell fills in PATH; sudo starts the rest without it.
  const env = { PATH: `${own}:/usr/bin:/bin` }
  const asSudo = (line: string) =>
    run('sh', ['-c', line.replace(/^sudo/, 'env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin')], { env })
  assert.equal(asSudo(`${SUDO_ANYWHERE} flash pi1`).stdout, 'started with flash pi1\n')
})
