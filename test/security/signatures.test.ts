/** A publisher's signature, with keys and signatures that gpg made: only a good one, of the pinned key, of today, counts. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkSignature } from '../../src/catalog/signature.ts'
import { noise, quiet } from '../fetch/support.ts'
import { held } from '../support/attack.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

const FILE = noise(100_000)

/** A publisher's key ring, and what a mirror would offer of it. */
class Publisher {
  readonly #gpg: string
  readonly #home: string
  readonly #image: string

  private constructor(gpg: string, home: string) {
    this.#gpg = gpg
    this.#home = home
    this.#image = join(home, 'image')
    writeFileSync(this.#image, FILE)
  }

  /** @returns undefined after a skip */
  static open(t: TestContext): Publisher | undefined {
    const gpg = needTool(t, 'gpg', 'gnupg')
    if (gpg === undefined) return undefined
    const home = tempFolder(t)
    t.after(() => run('gpgconf', ['--homedir', home, '--kill', 'all']))
    return new Publisher(gpg, home)
  }

  call(args: readonly string[], input?: string): string {
    const base = ['--homedir', this.#home, '--batch', '--yes', '--pinentry-mode', 'loopback']
    const ran = run(this.#gpg, [...base, '--passphrase', '', ...args], { input })
    assert.equal(ran.status, 0, `${args.join(' ')}: ${ran.stderr}`)
    return ran.stdout
  }

  /** @returns the new key's fingerprint. @param made its day, `20240101T000000` */
  addKey(name: string, options: { usage?: string; algorithm?: string; made?: string; until?: string } = {}) {
    const { usage = 'sign', algorithm = 'ed25519', made, until = 'never' } = options
    this.call([...at(made), '--quick-generate-key', name, algorithm, usage, until])
    return this.fingerprints(name)[0] ?? ''
  }

  addSubkey(of: string, options: { made?: string; until?: string } = {}): string {
    const { made, until = 'never' } = options
    this.call([...at(made), '--quick-add-key', of, 'ed25519', 'sign', until])
    return this.fingerprints(of).at(-1) ?? ''
  }

  /** @param words what a person would type */
  edit(key: string, words: string): void {
    this.call(['--command-fd', '0', '--no-batch', '--no-tty', '--edit-key', key], words)
  }

  /** Of the primary key and after it of its subkeys. */
  fingerprints(name: string): string[] {
    const listed = this.call(['--with-colons', '--with-subkey-fingerprint', '--list-keys', name])
    return [...listed.matchAll(/^fpr:+([0-9A-F]{40}):/gm)].map(([, digits = '']) => digits)
  }

  export(...names: string[]): Buffer {
    const path = join(this.#home, 'exported')
    rmSync(path, { force: true })
    this.call(['--output', path, '--export', ...names])
    return readFileSync(path)
  }

  /** @param by a fingerprint; with `!` just this one */
  sign(by: string, options: { made?: string; more?: string[]; over?: Uint8Array } = {}): Buffer {
    const path = options.over === undefined ? this.#image : join(this.#home, 'other')
    if (options.over !== undefined) writeFileSync(path, options.over)
    const more = options.more ?? []
    const out = join(this.#home, 'sig')
    this.call([...at(options.made), ...more, '-u', by, '--output', out, '--detach-sign', path])
    return readFileSync(out)
  }

  /** What checkSignature says of a signature over the image. */
  async judge(signature: Uint8Array, key: Uint8Array, fingerprint: string, over?: Uint8Array): Promise<void> {
    const path = join(this.#home, 'offered')
    writeFileSync(path, over ?? FILE)
    await checkSignature(
      {
        path,
        subject: 'image',
        signature: { bytes: signature, url: 'image.sig' },
        key: { bytes: key, url: 'key' },
        fingerprint,
      },
      quiet(),
    )
  }
}

const at = (made: string | undefined): string[] =>
  made === undefined ? [] : ['--faked-system-time', `${made}!`]
const LONG_AGO = '20200101T000000'
const LATER = '20210101T000000'
const REFUSED = /image\.sig over image /

test('what a publisher does day by day is accepted: its key, and a subkey of its key', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher', { made: LONG_AGO })
  const sub = publisher.addSubkey(primary, { made: LONG_AGO })
  const key = publisher.export(primary)
  await publisher.judge(publisher.sign(`${primary}!`), key, primary)
  await publisher.judge(publisher.sign(`${sub}!`), key, primary)
  await publisher.judge(publisher.sign(`${sub}!`, { made: LATER }), key, primary)
  // It signs with a subkey alone, and keeps the primary at home.
  const offline = publisher.addKey('offline', { usage: 'cert' })
  const daily = publisher.addSubkey(offline)
  await publisher.judge(publisher.sign(`${daily}!`), publisher.export(offline), offline)
})

test('expired: the key, its subkey, the signature; an old date does not help', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const ended = publisher.addKey('ended', { made: LONG_AGO, until: '1y' })
  const old = publisher.sign(`${ended}!`, { made: '20200601T000000' })
  await assert.rejects(publisher.judge(old, publisher.export(ended), ended), REFUSED)

  const primary = publisher.addKey('publisher', { made: LONG_AGO })
  const sub = publisher.addSubkey(primary, { made: LONG_AGO, until: '1y' })
  const bySub = publisher.sign(`${sub}!`, { made: '20200601T000000' })
  const key = publisher.export(primary)
  await assert.rejects(publisher.judge(bySub, key, primary), REFUSED)

  const lapsed = publisher.sign(`${primary}!`, { made: LONG_AGO, more: ['--default-sig-expire', '30d'] })
  await assert.rejects(publisher.judge(lapsed, key, primary), /expired/)
  // Dates before the key was there, and after today.
  const before = publisher.sign(`${primary}!`, { made: '20190101T000000', more: ['--ignore-time-conflict'] })
  await assert.rejects(publisher.judge(before, key, primary), /older than its key/)
  const tomorrow = publisher.sign(`${primary}!`, { made: '20990101T000000' })
  await assert.rejects(publisher.judge(tomorrow, key, primary), REFUSED)
  // A key that was extended in time is as good as one that never ended.
  publisher.call(['--quick-set-expire', ended, '0'])
  await publisher.judge(old, publisher.export(ended), ended)
  held(t, 5)
})

test('revoked: the key and its subkey, also for a signature from before', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher', { made: LONG_AGO })
  const sub = publisher.addSubkey(primary, { made: LONG_AGO })
  const early = publisher.sign(`${primary}!`, { made: LATER })
  const bySub = publisher.sign(`${sub}!`, { made: LATER })
  const intact = publisher.export(primary)
  await publisher.judge(early, intact, primary)
  await publisher.judge(bySub, intact, primary)
  publisher.edit(primary, 'key 1\nrevkey\ny\n1\n\ny\nsave\n')
  await assert.rejects(publisher.judge(bySub, publisher.export(primary), primary), REFUSED)
  await publisher.judge(early, publisher.export(primary), primary)
  publisher.edit(primary, 'revkey\ny\n1\n\ny\nsave\n')
  const revoked = publisher.export(primary)
  await assert.rejects(publisher.judge(early, revoked, primary), REFUSED)
  await assert.rejects(publisher.judge(bySub, revoked, primary), REFUSED)
  held(t, 3)
})

test('weak digests, and keys that are too short', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher', { algorithm: 'rsa2048' })
  const key = publisher.export(primary)
  for (const digest of ['SHA1', 'RIPEMD160', 'SHA224', 'MD5']) {
    const weak = publisher.sign(primary, { more: ['--digest-algo', digest, '--allow-weak-digest-algos'] })
    await assert.rejects(publisher.judge(weak, key, primary), /hash algorithm/, digest)
  }
  const short = publisher.addKey('short', { algorithm: 'rsa1024' })
  await assert.rejects(publisher.judge(publisher.sign(short), publisher.export(short), short), REFUSED)
  held(t, 5)
})

test('a key that may not sign files', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher', { made: LONG_AGO })
  const signed = publisher.sign(`${primary}!`)
  await publisher.judge(signed, publisher.export(primary), primary)
  publisher.edit(primary, 'change-usage\ns\nq\nsave\n')
  assert.match(publisher.call(['--with-colons', '--list-keys', primary]), /^pub:(?:[^:]*:){10}cC?:/im)
  await assert.rejects(publisher.judge(signed, publisher.export(primary), primary), REFUSED)
  held(t, 1)
})

test('another file, one byte more or less, and a signature of something else over these very bytes', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher')
  const key = publisher.export(primary)
  const good = publisher.sign(primary)
  await publisher.judge(good, key, primary)
  const changed = Buffer.from(FILE)
  changed[0] = (changed[0] ?? 0) ^ 1
  for (const bytes of [noise(100_000, 9), changed, FILE.subarray(1), Buffer.concat([FILE, Buffer.of(0)]), ''])
    await assert.rejects(publisher.judge(good, key, primary, Buffer.from(bytes)), REFUSED)
  // Over a text, whose line ends don't count.
  const text = Buffer.from('one\r\ntwo\r\n')
  const overText = publisher.sign(primary, { over: text, more: ['--textmode'] })
  await assert.rejects(publisher.judge(overText, key, primary, text), /type 1/)
  // What the key's own certificate was made over, as RFC 9580, 5.2.4 puts it, offered as a file.
  const openpgp = await import('openpgp')
  const read = await openpgp.readKey({ binaryKey: key })
  const certificate = read.users[0]?.selfCertifications[0]
  assert.ok(certificate)
  const body = (read.keyPacket as unknown as { write(): Uint8Array }).write()
  const name = Buffer.from('publisher')
  const preimage = Buffer.concat([
    Buffer.of(0x99, body.length >> 8, body.length & 0xff),
    body,
    Buffer.of(0xb4, 0, 0, 0, name.length),
    name,
  ])
  const list = new openpgp.PacketList<never>()
  list.push(certificate as never)
  await assert.rejects(publisher.judge(list.write(), key, primary, preimage), /type 19/)
  held(t, 7)
})

test('another key: beside the pinned one, as its successor, as a subkey that it never bound', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher')
  const next = publisher.addKey('publisher of tomorrow')
  const signed = publisher.sign(`${next}!`)
  // It vouches for its successor; a pin is a pin.
  publisher.call(['-u', primary, '--quick-sign-key', next])
  await assert.rejects(
    publisher.judge(signed, publisher.export(next), primary),
    new RegExp(`has the key ${next}; piimage trusts only ${primary}`),
  )
  await assert.rejects(publisher.judge(signed, publisher.export(primary, next), primary), REFUSED)
  await assert.rejects(publisher.judge(signed, publisher.export(next, primary), primary), REFUSED)

  const sub = publisher.addSubkey(next)
  const bySub = publisher.sign(`${sub}!`)
  const openpgp = await import('openpgp')
  const pinned = await openpgp.readKey({ binaryKey: publisher.export(primary) })
  const other = await openpgp.readKey({ binaryKey: publisher.export(next) })
  const bound = other.subkeys[0]?.bindingSignatures[0]
  const subkey = other.subkeys[0]?.keyPacket
  assert.ok(bound !== undefined && subkey !== undefined)
  const list = new openpgp.PacketList<never>()
  for (const packet of [...pinned.toPacketList(), subkey, bound]) list.push(packet as never)
  await assert.rejects(publisher.judge(bySub, list.write(), primary), REFUSED)
  // Two signatures: the stranger's and the publisher's, in either order.
  const own = publisher.sign(`${primary}!`)
  for (const both of [
    [signed, own],
    [own, signed],
    [own, own],
  ])
    await assert.rejects(
      publisher.judge(Buffer.concat(both), publisher.export(primary), primary),
      /2 signatures/,
    )
  held(t, 7)
})

test('what is no detached signature at all', async (t) => {
  const publisher = Publisher.open(t)
  if (publisher === undefined) return
  const primary = publisher.addKey('publisher')
  const key = publisher.export(primary)
  const good = publisher.sign(primary)
  const inline = publisher.sign(primary, { more: ['--armor'] }).toString()
  const offered: (string | Uint8Array)[] = [
    '',
    'not found',
    key,
    good.subarray(0, good.length - 3),
    Buffer.concat([good, good.subarray(0, 7)]),
    inline.replace('SIGNATURE-----\n', 'MESSAGE-----\n'),
    inline.slice(0, inline.length / 2),
    Buffer.alloc(100_000, 0xff),
  ]
  for (const bytes of offered)
    await assert.rejects(
      publisher.judge(Buffer.from(bytes), key, primary),
      { name: 'FetchError' },
      JSON.stringify(bytes).slice(0, 60),
    )
  held(t, offered.length)
})
