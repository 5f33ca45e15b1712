import assert from 'node:assert/strict'
import { createECDH, createHash, createPublicKey, verify, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeCertificateAuthority } from '../../src/secrets/certificate-authority.ts'
import { integer, objectIdentifier, time } from '../../src/secrets/der.ts'
import { p256PrivateKey, p256PublicKey, p256SeedBytes, signP256 } from '../../src/secrets/p256.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

const seed = Buffer.alloc(p256SeedBytes, 7)

test('the signature is that of RFC 6979, A.2.5', () => {
  const key = Buffer.from('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721', 'hex')
  const signature = signP256(key, Buffer.from('sample')).toString('hex')
  assert.match(signature, /efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716/)
  assert.match(signature, /f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8/)
})

test('keys and signatures: frozen, because other ones make every cluster another', () => {
  const all = createHash('sha256')
  for (let round = 0; round < 64; round += 1) {
    const halves = [0, 1].map((half) => createHash('sha512').update(`${round} ${half}`).digest())
    const key = p256PrivateKey(Buffer.concat(halves).subarray(0, p256SeedBytes))
    all
      .update(key)
      .update(p256PublicKey(key))
      .update(signP256(key, Buffer.alloc(round * 13, round)))
  }
  assert.equal(all.digest('hex'), 'ee3246b7c39b57729c9435b3209a7ff7a40a29811b84f4107d0b56e3597d1484')
})

test('OpenSSL accepts every signature', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: p256SeedBytes, maxLength: p256SeedBytes }),
      fc.uint8Array({ maxLength: 100 }),
      (bytes, message) => {
        const key = p256PrivateKey(bytes)
        const ecdh = createECDH('prime256v1')
        ecdh.setPrivateKey(key)
        assert.deepEqual(p256PublicKey(key), ecdh.getPublicKey())
        const spki = Buffer.concat([
          Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
          ecdh.getPublicKey(),
        ])
        const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
        assert.ok(verify('sha256', message, publicKey, signP256(key, message)))
      },
    ),
    { numRuns: 50 },
  )
})

test('DER: numbers stay positive, identifiers and dates are as the standards write them', () => {
  assert.equal(integer(Buffer.from([0, 0, 0x80])).toString('hex'), '02020080')
  assert.equal(integer(Buffer.from([0, 0x7f])).toString('hex'), '02017f')
  assert.equal(objectIdentifier('1.2.840.113549').toString('hex'), '06062a864886f70d')
  assert.equal(time(new Date('2049-12-31T23:59:59Z')).toString('latin1').slice(2), '491231235959Z')
  assert.equal(time(new Date('2050-01-01T00:00:00Z')).toString('latin1').slice(2), '20500101000000Z')
})

test('the certificate verifies, signs others, and its digest is what openssl makes of its key', (t) => {
  if (needTool(t, 'openssl', 'openssl') === undefined) return
  const folder = tempFolder(t)
  const file = (name: string) => join(folder, name)
  const authority = makeCertificateAuthority(seed, 'kubernetes')
  writeFileSync(file('ca.crt'), authority.certificate)
  writeFileSync(file('ca.key'), authority.privateKey.reveal(), { mode: 0o600 })
  const openssl = (...args: string[]) => {
    const ran = run('openssl', args, { cwd: folder })
    assert.equal(ran.status, 0, ran.stderr)
    return ran.stdout
  }
  assert.match(openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca.crt', 'ca.crt'), /OK/)
  const text = openssl('x509', '-in', 'ca.crt', '-noout', '-text')
  assert.match(text, /Subject: CN ?= ?kubernetes/)
  assert.match(text, /X509v3 Basic Constraints: critical\s+CA:TRUE/)
  assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment, Certificate Sign\n/)
  assert.match(text, /Not Before: Jan {2}1 00:00:00 1970 GMT\s+Not After : Dec 31 23:59:59 2099 GMT/)

  // What kubeadm's documentation says to compute the hash with.
  openssl('x509', '-pubkey', '-in', 'ca.crt', '-noout', '-out', 'ca.pub')
  openssl('pkey', '-pubin', '-in', 'ca.pub', '-outform', 'der', '-out', 'ca.der')
  assert.match(openssl('dgst', '-sha256', 'ca.der'), new RegExp(authority.publicKeyDigest))
  assert.match(openssl('dgst', '-sha256', 'ca.crt'), new RegExp(authority.certificateDigest))

  // A head does this with its API server's certificate.
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=api', '-keyout', 'a.key', '-out', 'a.csr')
  openssl(
    'x509',
    '-req',
    '-in',
    'a.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'a.crt',
  )
  assert.match(openssl('verify', '-CAfile', 'ca.crt', 'a.crt'), /OK/)
})

test('same seed, same bytes; another seed, another authority; a changed byte is noticed', () => {
  const authority = makeCertificateAuthority(seed, 'kubernetes')
  assert.equal(makeCertificateAuthority(seed, 'kubernetes').certificate, authority.certificate)
  const other = makeCertificateAuthority(Buffer.alloc(p256SeedBytes, 8), 'kubernetes')
  assert.notEqual(other.publicKeyDigest, authority.publicKeyDigest)
  const certificate = new X509Certificate(authority.certificate)
  assert.ok(certificate.verify(certificate.publicKey))
  assert.ok(!certificate.verify(new X509Certificate(other.certificate).publicKey))
  const digest = createHash('sha256').update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
  assert.equal(digest.digest('hex'), authority.publicKeyDigest)
})
