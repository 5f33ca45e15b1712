/**
 * The last look at a boot tree before TFTP serves it: TFTP asks nobody who they
 * are, so nothing in there may be worth stealing.
 *
 * Searched for: the secrets that are known to be this node's, in every file of
 * its own; and whatever has the form of a secret, in every text, the image's own
 * included (a baked image may be the base).
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { SecretForm } from '../cluster/feature.ts'
import { NetrootError } from '../errors.ts'
import { features } from '../features/index.ts'

const forms: readonly SecretForm[] = [
  ...features.flatMap(({ secretForms }) => secretForms ?? []),
  { name: 'a private key', form: /-----BEGIN [A-Z ]*PRIVATE KEY-----/ },
  { name: "a password's hash", form: /\$(?:1|5|6|2[abxy]|y|gy|7)\$[./A-Za-z0-9$=,]{20,}/ },
  { name: 'a Wi-Fi key', form: /^[ \t]*(?:psk|wpa_psk)[ \t]*[=:][ \t]*\S/m },
  {
    name: 'a password',
    form: /^[ \t-]*(?:passwd|password|plain_text_passwd|hashed_passwd)["']?[ \t]*[:=][ \t]*\S/m,
  },
]

/** Texts on boot partitions are a few KiB. */
const LARGEST_TEXT = 1024 * 1024

/** Files that were looked through, by device and inode: a generation's are linked into every node's tree. */
export type Scanned = Set<string>

/**
 * @param secrets must be in no file at all
 * @throws {NetrootError} the first that was found, by its file and what it is
 */
export function scanTftpTree(folder: string, secrets: readonly string[], scanned: Scanned): void {
  const known = secrets.filter((secret) => secret.length >= 8).map((secret) => Buffer.from(secret))
  for (const path of listFiles(folder)) {
    const { dev, ino, nlink, size } = lstatSync(path)
    const key = `${dev}:${ino}`
    if (nlink > 1 && scanned.has(key)) continue
    scanned.add(key)
    const bytes = nlink > 1 && size > LARGEST_TEXT ? undefined : readFileSync(path)
    if (bytes === undefined) continue
    const name = relative(folder, path)
    if (known.some((secret) => bytes.includes(secret))) throw found(name, 'a secret of this node')
    if (bytes.length > LARGEST_TEXT || bytes.subarray(0, 4096).includes(0)) continue
    const text = bytes.toString('latin1')
    for (const { name: what, form } of forms) if (form.test(text)) throw found(name, what)
  }
}

const found = (path: string, what: string): NetrootError =>
  new NetrootError(`the TFTP tree would hold ${what}, in ${path}`, {
    hint: 'Anybody on the network can read that tree. Take it out of the boot files of the overlay, or of the image.',
  })

function* listFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* listFiles(path)
    else if (entry.isFile()) yield path
  }
}
