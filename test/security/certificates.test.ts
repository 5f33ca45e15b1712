/** The authority of a Kubernetes cluster, and what it signs, as OpenSSL and Go judge them: Kubernetes is Go. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificateAuthority } from '../../src/secrets/certificate-authority.ts'
import { p256SeedBytes } from '../../src/secrets/p256.ts'
import { held } from '../support/attack.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

/** Names that a leaf says it has, and whether this authority's leaf may be taken for `api.example`, served. */
const leaves: { name: string; extensions: string; days?: string; isGood?: boolean }[] = [
  { name: 'good', extensions: 'subjectAltName=DNS:api.example\nextendedKeyUsage=serverAuth', isGood: true },
  { name: 'other-name', extensions: 'subjectAltName=DNS:other.example\nextendedKeyUsage=serverAuth' },
  { name: 'no-name', extensions: 'extendedKeyUsage=serverAuth' },
  { name: 'client', extensions: 'subjectAltName=DNS:api.example\nextendedKeyUsage=clientAuth' },
  {
    name: 'expired',
    extensions: 'subjectAltName=DNS:api.example\nextendedKeyUsage=serverAuth',
    days: '-1',
  },
  {
    name: 'weak-hash',
    extensions: 'subjectAltName=DNS:api.example\nextendedKeyUsage=serverAuth',
  },
]

const PROGRAM = `package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

func read(name string) *x509.Certificate {
	text, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) != 0 {
		panic(name + ": not one PEM block")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(name + ": " + err.Error())
	}
	return certificate
}

func main() {
	authority := read("ca.crt")
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	fmt.Println("ca", authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage&x509.KeyUsageCertSign != 0,
		authority.SerialNumber.Sign(), authority.SerialNumber.BitLen() <= 159, authority.Version, len(authority.UnhandledCriticalExtensions))
	fmt.Println("self", authority.CheckSignatureFrom(authority))
	between := x509.NewCertPool()
	if _, err := os.Stat("stranger.crt"); err == nil {
		between.AddCert(read("stranger.crt"))
	}
	for _, name := range os.Args[1:] {
		_, err := read(name + ".crt").Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, DNSName: "api.example", CurrentTime: time.Now(),
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		fmt.Println(name, err)
	}
}
`

/** The authority and its leaves in a folder; undefined after a skip. */
function makeLeaves(t: TestContext) {
  if (needTool(t, 'openssl', 'openssl') === undefined) return undefined
  const folder = tempFolder(t)
  const authority = makeCertificateAuthority(Buffer.alloc(p256SeedBytes, 7), 'kubernetes')
  writeFileSync(join(folder, 'ca.crt'), authority.certificate)
  writeFileSync(join(folder, 'ca.key'), authority.privateKey.reveal(), { mode: 0o600 })
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  const must = (...args: string[]) => {
    const ran = openssl(...args)
    assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stderr}`)
    return ran.stdout
  }
  const issue = (name: string, by: string, extensions: string, ...more: string[]) => {
    writeFileSync(join(folder, 'ext'), extensions)
    must('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`)
    must('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`)
    const from = ['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-extfile', 'ext']
    must('x509', '-req', '-in', `${name}.csr`, ...from, '-out', `${name}.crt`, ...more)
  }
  for (const { name, extensions, days = '30' } of leaves)
    issue(name, 'ca', extensions, '-days', days, ...(name === 'weak-hash' ? ['-sha1'] : []))
  // A leaf that signs another, though nobody said that it may.
  const server = 'subjectAltName=DNS:api.example\nextendedKeyUsage=serverAuth'
  issue('by-leaf', 'good', server, '-days', '30')
  // Another authority of the same name.
  const twin = makeCertificateAuthority(Buffer.alloc(p256SeedBytes, 8), 'kubernetes')
  writeFileSync(join(folder, 'twin.crt'), twin.certificate)
  writeFileSync(join(folder, 'twin.key'), twin.privateKey.reveal(), { mode: 0o600 })
  issue('by-twin', 'twin', server, '-days', '30')
  writeFileSync(join(folder, 'stranger.crt'), must('x509', '-in', 'good.crt'))
  const names = [...leaves.map(({ name }) => name), 'by-leaf', 'by-twin']
  return { folder, openssl, names, isGood: (name: string) => name === 'good' }
}

test('OpenSSL: the authority is strict X.509, and only the right leaf is taken', (t) => {
  const made = makeLeaves(t)
  if (made === undefined) return
  const { openssl, names, isGood } = made
  assert.match(openssl('verify', '-x509_strict', '-check_ss_sig', '-CAfile', 'ca.crt', 'ca.crt').stdout, /OK/)
  const strict = ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'api.example']
  let tried = 0
  for (const name of names) {
    const more = ['-auth_level', '2', '-CAfile', 'ca.crt', '-untrusted', 'stranger.crt', `${name}.crt`]
    const { status, stdout, stderr } = openssl(...strict, ...more)
    // OpenSSL takes the common name where there is no other, and it is the leaf's own there.
    assert.equal(status === 0, isGood(name), `${name}: ${stdout}${stderr}`)
    if (!isGood(name)) tried += 1
  }
  held(t, tried)
})

test('Go: the authority is one, and only the right leaf is taken', (t) => {
  const go = needTool(t, 'go', 'golang-go')
  if (go === undefined) return
  const made = makeLeaves(t)
  if (made === undefined) return
  const { folder, names, isGood } = made
  mkdirSync(join(folder, 'cache'))
  writeFileSync(join(folder, 'go.mod'), 'module judge\n\ngo 1.19\n')
  writeFileSync(join(folder, 'judge.go'), PROGRAM)
  const env = { GOCACHE: join(folder, 'cache'), GOPROXY: 'off', GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' }
  const said = run(go, ['run', '.', ...names], { cwd: folder, env })
  assert.equal(said.status, 0, said.stderr)
  const [authority, self, ...verdicts] = said.stdout.trim().split('\n')
  assert.equal(authority, 'ca true true true 1 true 3 0')
  assert.equal(self, 'self <nil>')
  assert.equal(verdicts.length, names.length)
  for (const [index, verdict] of verdicts.entries()) {
    const name = names[index] ?? ''
    assert.equal(verdict === `${name} <nil>`, isGood(name), verdict)
  }
  held(t, names.length - 1)
})
