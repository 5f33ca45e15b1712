import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkSignature } from '../../src/catalog/signature.ts'
import { noise, quiet } from '../fetch/support.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

for (const armor of [false, true]) {
  test(`a signature that gpg made over a file is accepted${armor ? ', armoured' : ''}`, async (t) => {
    const gpg = needTool(t, 'gpg', 'gnupg')
    if (gpg === undefined) return
    const home = tempFolder(t)
    const path = join(home, 'image')
    const bytes = noise(3_000_001)
    writeFileSync(path, bytes)
    const call = (...args: string[]) => {
      const { status, stdout, stderr } = run(gpg, ['--homedir', home, '--batch', '--passphrase', '', ...args])
      assert.equal(status, 0, stderr)
      return stdout
    }
    t.after(() => run('gpgconf', ['--homedir', home, '--kill', 'all']))
    call('--quick-generate-key', 'Downloads', 'rsa2048', 'sign', 'never')
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(call('--with-colons', '--fingerprint'))?.[1] ?? ''
    call('--output', join(home, 'key'), '--armor', '--export')
    call('--output', `${path}.sig`, ...(armor ? ['--armor'] : []), '--detach-sign', path)
    const check = {
      path,
      subject: 'image',
      signature: { bytes: readFileSync(`${path}.sig`), url: 'image.sig' },
      key: { bytes: readFileSync(join(home, 'key')), url: 'key' },
      fingerprint,
    }
    await checkSignature(check, quiet())
    bytes[2_999_999] = (bytes[2_999_999] ?? 0) ^ 1
    writeFileSync(path, bytes)
    await assert.rejects(checkSignature(check, quiet()), /the signature image\.sig over image does not hold/)
  })
}
