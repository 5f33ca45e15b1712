/** What apt and its helper say when something is wrong, and what a person is told. Of today's apt, ./trouble.test.ts hears it itself. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { run } from '../support/tools.ts'

const says: [output: string, told: RegExp][] = [
  ["E: Failed to fetch http://x  Could not resolve 'x'", /^no way to the archive/],
  ['Err:1 http://x  Could not connect to x:80', /^no way to the archive/],
  ["E: Failed to fetch http://x  Temporary failure resolving 'x'", /^no way to the archive/],
  [
    'E: Release file for http://x is not valid yet (invalid for another 3d)',
    /^the clock is wrong: it says \d{4}-/,
  ],
  [
    'E: Failed to fetch https://x  Certificate verification failed: The certificate is NOT trusted. The certificate chain uses not yet valid certificate.',
    /^the clock is wrong/,
  ],
  [
    'E: Failed to fetch https://x  Certificate verification failed: The certificate is NOT trusted. The certificate chain uses expired certificate.',
    /^the archive is out of date, or the clock is wrong/,
  ],
  [
    'E: Release file for http://x is expired (invalid since 3d)',
    /^the archive is out of date, or the clock is wrong/,
  ],
  [
    'server certificate verification failed. certificate has expired',
    /^the archive is out of date, or the clock/,
  ],
  ['W: GPG error: http://x InRelease: NO_PUBKEY 8D81803C0EBFCD88', /^the archive is not signed by the key/],
  ["E: The repository 'http://x InRelease' is not signed.", /^the archive is not signed by the key/],
  [
    "E: The repository 'http://x Release' does not have a Release file.",
    /^there is nothing for this release/,
  ],
  ['E: Failed to fetch http://x  404  Not Found', /^there is nothing for this release/],
  ['E: Failed to fetch http://x  Hash Sum mismatch', /^what came is not what the archive lists/],
  ['E: write: No space left on device', /^no space left \(\d+ MB free/],
  ["E: You don't have enough free space in /var/cache/apt/archives/.", /^no space left/],
  ['E: Unmet dependencies. Try "apt --fix-broken install"', /^the package database is in disorder/],
  [
    "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'",
    /^the package database is in disorder/,
  ],
  ['E: Unable to locate package docker-ce', /^the archive has no such package/],
  ['E: It is Monday', /^It is Monday$/],
  ['', /^its output is in the log$/],
]
for (const [output, told] of says)
  test(`apt: ${output || 'nothing'}`, (t) => {
    const log = join(tempFolder(t), 'log')
    writeFileSync(log, `Reading package lists...\n${output}\n`)
    const ran = run('sh', ['-c', '. "$0"; apt_trouble "$1"', join(packageRoot(), 'firstboot/lib.sh'), log])
    assert.match(ran.stdout.trim(), told, ran.stderr)
  })
