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

test('two signatures in one file are none: nobody says which of them counts', async (t) => {
  const openpgp = await import('openpgp')
  const folder = tempFolder(t)
  const path = join(folder, 'image')
  const bytes = noise(10_000)
  writeFileSync(path, bytes)
  const keyOf = (name: string) =>
    openpgp.generateKey({ type: 'ecc', curve: 'ed25519Legacy', userIDs: [{ name }], format: 'object' })
  const [publisher, other] = await Promise.all([keyOf('publisher'), keyOf('other')])
  const message = await openpgp.createMessage({ binary: new Uint8Array(bytes) })
  const signedBy = async (...signingKeys: (typeof publisher.privateKey)[]) =>
    openpgp.sign({ message, signingKeys, detached: true, format: 'binary' }) as Promise<Uint8Array>
  const check = (signature: Uint8Array) =>
    checkSignature(
      {
        path,
        subject: 'image',
        signature: { bytes: signature, url: 'image.sig' },
        key: { bytes: Buffer.from(publisher.publicKey.armor()), url: 'key' },
        fingerprint: publisher.publicKey.getFingerprint().toUpperCase(),
      },
      quiet(),
    )
  await check(await signedBy(publisher.privateKey))
  for (const keys of [
    [publisher.privateKey, other.privateKey],
    [other.privateKey, publisher.privateKey],
    [publisher.privateKey, publisher.privateKey],
  ])
    await assert.rejects(check(await signedBy(...keys)), /image\.sig over image can't be read: 2 signatures/)
})
