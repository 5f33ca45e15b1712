/** What a diff must not show of files that piimage did not write. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findSecrets } from '../../src/customise/find-secrets.ts'

const psk = 'ab12cd34'.repeat(8)
const cases: [text: string, finds: string | undefined][] = [
  ['    passwd: "$6$salt$abc/def."\n', '$6$salt$abc/def.'],
  ["    passwd: '$y$j9T$abc$def'\n", '$y$j9T$abc$def'],
  [`    psk=${psk}\n`, psk],
  ['    password: "correct horse"\n', 'correct horse'],
  ['  plain_text_passwd: hypriot\n', 'hypriot'],
  ['{ "token": "abcdef.0123" }\n', 'abcdef.0123'],
  ['lock_passwd: false\nssh_pwauth: false\nchpasswd: { expire: false }\n', undefined],
  ['hostname: pi\nruncmd:\n  - ["sh", "/boot/firmware/piimage/install.sh"]\n', undefined],
]

for (const [text, finds] of cases) {
  test(`findSecrets: ${JSON.stringify(text)}`, () => {
    const found = findSecrets(text)
    if (finds === undefined) assert.deepEqual(found, [])
    else assert.ok(found.includes(finds), found.join(' | '))
  })
}
