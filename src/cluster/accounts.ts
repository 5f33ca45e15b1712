/**
 * A node's user and Wi-Fi, with what lies in files of its own: public keys,
 * a password to hash, a pass phrase to turn into a key.
 *
 * What is a secret is never part of a message.
 */
import { resolve } from 'node:path'
import { Secret } from '../secret.ts'
import { parseAuthorizedKeys, sshKeyTypes } from '../secrets/authorized-keys.ts'
import { ClusterKey } from '../secrets/cluster-key.ts'
import { derive } from '../secrets/derive.ts'
import { cryptAlphabet, sha512crypt } from '../secrets/sha512crypt.ts'
import { deriveWpaPsk } from '../secrets/wpa-psk.ts'
import { formats } from './formats.ts'
import type { Judge, LocalFile } from './judge.ts'
import { hasMap, type Layer, pick, pickField, pickOneOf, type Said } from './layers.ts'
import type { User, Wifi } from './node.ts'
import { show } from './schema-check.ts'
import type { Path } from './yaml-source.ts'

interface Settings {
  layers: readonly Layer[]
}

/** Resolves users and networks; what nodes share is read, hashed and judged once. */
export interface Accounts {
  userOf: (node: Settings) => User | undefined
  wifiOf: (node: Settings) => Wifi | undefined
}

export function openAccounts(judge: Judge): Accounts {
  const files = new Map<string, LocalFile | undefined>()
  const hashes = new Map<string, Secret>()
  const psks = new Map<string, Secret>()

  const once = <T>(cache: Map<string, T>, key: string, make: () => T): T => {
    const known = cache.get(key)
    if (known !== undefined) return known
    const made = make()
    cache.set(key, made)
    return made
  }

  /** A named file's content; undefined after its absence was reported. */
  const read = (name: string, path: Path): LocalFile | undefined => {
    const full = expandPath(name, judge.options)
    if (!files.has(full)) {
      try {
        files.set(full, judge.options.readLocal(full))
      } catch (error) {
        files.set(full, undefined)
        const code = (error as NodeJS.ErrnoException).code
        if (code === undefined) throw error
        judge.mistake(path, ...unreadable(name, full, code))
      }
    }
    return files.get(full)
  }

  /** The first line of a file that only its owner may read. */
  const readSecretLine = (name: string, path: Path): string | undefined => {
    const file = read(name, path)
    if (file === undefined) return undefined
    if (file.mode !== undefined && file.mode % 0o100 !== 0) {
      const mode = (file.mode % 0o1000).toString(8).padStart(4, '0')
      judge.mistake(
        path,
        `${show(name)} holds a secret and can be read by others (mode ${mode})`,
        `chmod 600 ${name}`,
      )
      return undefined
    }
    const [line = ''] = file.text.replace(/^\ufeff/, '').split(/\r?\n/)
    if (line === '') {
      judge.mistake(path, `the first line of ${show(name)} is empty`, 'put the secret on the first line')
      return undefined
    }
    return line
  }

  const sshKeysOf = (node: Settings): string[] => {
    const said = pickField(node, 'user', 'sshKeys')
    const lines: string[] = []
    for (const [index, item] of (said?.value ?? []).entries()) {
      if (item === undefined || said === undefined) continue
      const path = [...said.path, index]
      const literal = isLiteralKey(item)
      const text = literal ? item : read(item, path)?.text
      if (text === undefined) continue
      const keys = parseAuthorizedKeys(text)
      const what = literal ? 'the key' : show(item)
      if (keys.length === 0)
        judge.mistake(path, `${what} holds no key`, 'give the .pub file, or the key as one line')
      if (/PRIVATE KEY/.test(text)) {
        judge.mistake(
          path,
          `${what} is a private key`,
          literal
            ? 'remove it from this file, and never use that key again'
            : `give the public one: ${item}.pub`,
        )
        continue
      }
      for (const { line, key } of keys) {
        if (key.ok) lines.push(key.line)
        else
          judge.mistake(
            path,
            `${what}${literal && keys.length === 1 ? '' : ` line ${line}`} ${key.problem}`,
            key.hint,
          )
      }
    }
    return [...new Set(lines)]
  }

  const passwordOf = (node: Settings, name: string | undefined): Secret | undefined => {
    const [field, second] = pickOneOf(node, 'user', ['passwordHash', 'passwordFile'])
    if (field === undefined) return undefined
    const said = pickField(node, 'user', field) as Said<string>
    if (second !== undefined) {
      const other = pickField(node, 'user', second) as Said<string>
      judge.mistake(other.path, `user has both ${field} and ${second}`, 'keep one of the two', 'key')
      return undefined
    }
    if (said.value === undefined) return undefined
    if (field === 'passwordHash') return new Secret(said.value)
    const password = readSecretLine(said.value, said.path)
    if (password === undefined || name === undefined) return undefined
    const key = judge.options.key
    if (!(key instanceof ClusterKey)) {
      judge.mistake(
        said.path,
        key?.problem ?? 'a password is hashed with the cluster key, and there is none',
        key?.hint ?? 'piimage init makes one',
      )
      return undefined
    }
    return once(hashes, `${name}\n${password}`, () => new Secret(sha512crypt(password, saltFor(key, name))))
  }

  return {
    userOf(node) {
      if (!hasMap(node, 'user')) return undefined
      const name = pickField(node, 'user', 'name')
      if (name === undefined)
        judge.mistake(pick(node, 'user')?.path ?? [], 'user has no "name"', 'for example name: ops', 'key')
      const sshKeys = sshKeysOf(node)
      const passwordHash = passwordOf(node, name?.value)
      const sudo = pickField(node, 'user', 'sudoPassword')
      if (sudo?.value === true && pickOneOf(node, 'user', ['passwordHash', 'passwordFile']).length === 0)
        judge.mistake(
          sudo.path,
          'sudo would ask for a password that the user does not have',
          'give passwordFile or passwordHash, or sudoPassword: false',
        )
      if (name?.value === undefined) return undefined
      return { name: name.value, passwordHash, sshKeys, sudoPassword: sudo?.value ?? false }
    },

    wifiOf(node) {
      if (!hasMap(node, 'wifi')) return undefined
      const ssid = pickField(node, 'wifi', 'ssid')
      const country = pickField(node, 'wifi', 'country')
      const at = pick(node, 'wifi')?.path ?? []
      if (ssid === undefined)
        judge.mistake(at, 'wifi has no "ssid"', "the network's name: ssid: attic", 'key')
      if (country === undefined)
        judge.mistake(
          at,
          'wifi has no "country"',
          'without it the radio stays off; for example country: DE',
          'key',
        )

      const fields = pickOneOf(node, 'wifi', ['passphraseFile', 'pskFile', 'psk', 'passphrase'])
      const [field, second] = fields
      let psk: Secret | undefined
      if (second !== undefined) {
        const other = pickField(node, 'wifi', second) as Said<string>
        judge.mistake(other.path, `wifi has ${fields.join(' and ')}`, 'keep one of them', 'key')
      } else if (field !== undefined) {
        const said = pickField(node, 'wifi', field) as Said<string>
        if (said.value !== undefined && ssid?.value !== undefined)
          psk = readPsk(field, said.value, said.path, ssid.value)
      }
      if (ssid?.value === undefined || country?.value === undefined) return undefined
      return {
        ssid: ssid.value,
        psk,
        country: country.value,
        hidden: pickField(node, 'wifi', 'hidden')?.value ?? false,
      }
    },
  }

  function readPsk(field: string, value: string, path: Path, ssid: string): Secret | undefined {
    const secret = field.endsWith('File') ? readSecretLine(value, path) : value
    if (secret === undefined) return undefined
    if (field === 'psk' || field === 'passphrase')
      judge.warn(
        path,
        `wifi.${field} puts a secret into a file that git keeps`,
        'put it into a file that git ignores, and name that: passphraseFile',
        'key',
      )
    const format = field.startsWith('psk') ? 'psk' : 'passphrase'
    const complaint = formats[format]?.(secret)
    if (complaint !== undefined) {
      judge.mistake(path, `the first line of ${show(value)} ${complaint.problem}`, complaint.hint)
      return undefined
    }
    if (format === 'psk') return new Secret(secret.toLowerCase())
    return once(psks, `${ssid}\n${secret}`, () => new Secret(deriveWpaPsk(secret, ssid)))
  }
}

/** A key line rather than a path: it starts with a key type, or is a private key pasted by mistake. */
function isLiteralKey(item: string): boolean {
  const [first = ''] = item.trim().split(/[ \t\r\n]/)
  return (
    sshKeyTypes.includes(first) || first === 'ssh-dss' || /[\r\n]|-----|^(ssh|ecdsa|sk)-\S+\s+\S/.test(item)
  )
}

function expandPath(name: string, options: { folder: string; home: string }): string {
  if (name === '~' || name.startsWith('~/')) return resolve(options.home, `.${name.slice(1)}`)
  return resolve(options.folder, name)
}

function unreadable(name: string, full: string, code: string): [message: string, hint: string] {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return [`there is no file ${show(name)}`, `looked for ${full}`]
    case 'EACCES':
    case 'EPERM':
      return [`${show(name)} can't be read`, 'it belongs to somebody else: check its permissions']
    case 'EISDIR':
      return [`${show(name)} is a folder`, 'name the file in it']
    case 'EFBIG':
      return [`${show(name)} is far too big for what it should hold`, 'name a file of a few lines']
    default:
      return [`${show(name)} can't be read (${code})`, `looked for ${full}`]
  }
}

/** 16 characters of salt, the same for one user at every run. */
function saltFor(key: ClusterKey, user: string): string {
  return [...derive(key, 'password-salt', user, 16)].map((byte) => cryptAlphabet[byte % 64]).join('')
}
