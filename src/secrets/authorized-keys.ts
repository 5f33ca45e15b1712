/**
 * Public keys as `authorized_keys` and `id_*.pub` hold them: `type base64 comment`.
 *
 * A key that a node's sshd would skip without a word is found here: the type must
 * be known, the base64 must decode, and the blob inside must carry the same type
 * and end where its fields end. Options before the type (`from="10.0.0.0/8"`,
 * `cert-authority`) are kept as they are, if sshd knows them.
 *
 * Source: sshd(8) "AUTHORIZED_KEYS FILE FORMAT", RFC 4253 §6.6, RFC 8709.
 */

/** Key types and how many length-prefixed fields follow the type inside the blob. */
const fieldsByType: Record<string, number> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
}

export const sshKeyTypes = Object.keys(fieldsByType)

/** Options that sshd knows, upper and lower case alike; those ending in `=` have a value in quotes. */
const options = new Set(
  `agent-forwarding cert-authority command= environment= expiry-time= from= no-agent-forwarding no-port-forwarding no-pty
no-touch-required no-user-rc no-x11-forwarding permitlisten= permitopen= port-forwarding principals= pty restrict
tunnel= user-rc verify-required x11-forwarding`.split(/\s+/),
)

/** An option of sshd's form: a name, or a name with a value in quotes, in which `\"` is a quote. */
const optionForm = /([A-Za-z0-9-]+)(?:(=)"((?:[^"\\]|\\.)*)")?/y

/**
 * Take the options off the front of a line.
 * @returns undefined: what stands there are no options
 */
function splitOptions(text: string): { names: string[]; length: number } | undefined {
  const names: string[] = []
  let at = 0
  for (;;) {
    optionForm.lastIndex = at
    const match = optionForm.exec(text)
    if (match === null) return undefined
    names.push(`${match[1]?.toLowerCase()}${match[2] ?? ''}`)
    at += match[0].length
    if (text[at] !== ',') break
    at += 1
  }
  return /[ \t]/.test(text[at] ?? '') ? { names, length: at } : undefined
}

export type PublicKey =
  | { ok: true; type: string; blob: Buffer; comment: string; line: string }
  | { ok: false; problem: string; hint: string }

/** The length-prefixed fields of an SSH wire-format blob; undefined when it does not end where they end. */
export function readSshFields(blob: Uint8Array): Buffer[] | undefined {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  const fields: Buffer[] = []
  let offset = 0
  while (offset < bytes.length) {
    if (offset + 4 > bytes.length) return undefined
    const length = bytes.readUInt32BE(offset)
    if (offset + 4 + length > bytes.length) return undefined
    fields.push(bytes.subarray(offset + 4, offset + 4 + length))
    offset += 4 + length
  }
  return fields
}

/** Public keys as other programs keep them, by their first line. */
const foreignForms = [
  {
    form: /^---- BEGIN SSH2 PUBLIC KEY ----/,
    problem: 'is a public key in the form of RFC 4716',
    hint: 'convert the file: ssh-keygen -i -f FILE',
  },
  {
    form: /^-----BEGIN PUBLIC KEY-----/,
    problem: 'is a public key as PEM',
    hint: 'convert the file: ssh-keygen -i -m PKCS8 -f FILE',
  },
  {
    form: /^-----BEGIN RSA PUBLIC KEY-----/,
    problem: 'is a public key as PEM',
    hint: 'convert the file: ssh-keygen -i -m PEM -f FILE',
  },
  {
    form: /^PuTTY-User-Key-File-/,
    problem: "is PuTTY's private key",
    hint: 'give the public one, as PuTTYgen shows it "for pasting into OpenSSH authorized_keys file"',
  },
]

const isKeyType = (word: string): boolean => /^(?:ssh|ecdsa|sk)-[a-z0-9-]+(?:@[a-z.]+)?$/.test(word)

/** Read one line. */
export function parsePublicKey(line: string): PublicKey {
  const text = line.trim()
  const bad = (problem: string, hint: string): PublicKey => ({ ok: false, problem, hint })
  if (/PRIVATE KEY/.test(text))
    return bad('is a private key', 'give the public one, the file that ends in .pub')
  // Control characters would let one line become two, or hide what is in it.
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if ((code < 0x20 && code !== 0x09) || code === 0x7f)
      return bad('holds a control character', 'give the key as one line: type, base64, comment')
  }
  const foreign = foreignForms.find(({ form }) => form.test(text))
  if (foreign !== undefined) return bad(foreign.problem, foreign.hint)
  const first = text.split(/[ \t]/, 1)[0] ?? ''
  const given = isKeyType(first) ? undefined : splitOptions(text)
  const afterOptions = text.slice(given?.length ?? 0).trimStart()
  const hasOptions = given !== undefined && isKeyType(afterOptions.split(/[ \t]/, 1)[0] ?? '')
  const unknown = hasOptions ? given.names.find((name) => !options.has(name)) : undefined
  if (unknown !== undefined)
    return bad(
      `has the option ${unknown.replace('=', '')}, which sshd does not know`,
      'sshd would skip the whole line',
    )
  const [type = '', base64 = '', ...rest] = (hasOptions ? afterOptions : text).split(/[ \t]+/)
  if (/-cert-v0\d@openssh\.com$/.test(type))
    return bad(
      'is a certificate, which no account can list as its key',
      'give the public key itself, or its authority: cert-authority ssh-ed25519 AAAA…',
    )
  const fieldCount = Object.hasOwn(fieldsByType, type) ? fieldsByType[type] : undefined
  if (type === 'ssh-dss')
    return bad('is a DSA key, which no current sshd accepts', 'make one: ssh-keygen -t ed25519')
  if (fieldCount === undefined && /^[A-Za-z0-9,-]+=[^"]/.test(type))
    return bad('has an option whose value is not in double quotes', 'for example from="10.0.0.0/8"')
  if (fieldCount === undefined)
    return bad(
      'is not a public SSH key',
      'a key starts with its type, for example ssh-ed25519 AAAA… you@laptop',
    )
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0)
    return bad(
      `is an ${type} key whose base64 is broken or cut short`,
      'copy the whole line of the .pub file',
    )
  const blob = Buffer.from(base64, 'base64')
  const fields = readSshFields(blob)
  const inner = fields?.[0]?.toString('latin1')
  if (fields === undefined || inner === undefined)
    return bad(`is an ${type} key that is cut short`, 'copy the whole line of the .pub file')
  if (inner !== type)
    return bad(
      `says ${type}, but the key inside is ${/^[\x21-\x7e]{1,40}$/.test(inner) ? inner : 'something else'}`,
      'copy the whole line of the .pub file',
    )
  if (fields.length !== fieldCount + 1 || (type === 'ssh-ed25519' && fields[1]?.length !== 32))
    return bad(`is an ${type} key of the wrong shape`, 'copy the whole line of the .pub file')
  const comment = rest.join(' ')
  return {
    ok: true,
    type,
    blob,
    comment,
    line: [
      ...(hasOptions ? [text.slice(0, given.length)] : []),
      type,
      base64,
      ...(comment === '' ? [] : [comment]),
    ].join(' '),
  }
}

/** Type and key of a line, without its comment. */
export const withoutComment = (line: string): string => line.split(' ').slice(0, 2).join(' ')

/** The key lines of a `.pub` or `authorized_keys` text, by 1-based line; comments, blank lines, BOM and CRs left out. */
export function parseAuthorizedKeys(text: string): { line: number; key: PublicKey }[] {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .map((content, index) => ({ content: content.trim(), line: index + 1 }))
    .filter(({ content }) => content !== '' && !content.startsWith('#'))
  // What follows such a line is of the same key.
  const [first] = lines
  const isForeign = foreignForms.some(({ form }) => form.test(first?.content ?? ''))
  return (isForeign ? lines.slice(0, 1) : lines).map(({ content, line }) => ({
    line,
    key: parsePublicKey(content),
  }))
}
