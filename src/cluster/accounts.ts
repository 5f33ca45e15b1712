/**
 * A node's user and Wi-Fi, with what lies in files of its own: public keys,
 * a password to hash, a pass phrase to turn into a key.
 *
 * What is a secret is never part of a message.
 */
import { resolve } from 'node:path'
import { Secret } from '../secret.ts'
import { parseAuthorizedKeys, sshKeyTypes } from '../secrets/authorized-keys.ts'
import { ClusterKey, isClusterKeyFile } from '../secrets/cluster-key.ts'
import { derive } from '../secrets/derive.ts'
import { cryptAlphabet, sha512crypt } from '../secrets/sha512crypt.ts'
import { deriveWpaPsk } from '../secrets/wpa-psk.ts'
import type { WifiSecurity } from './file-shape.ts'
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

  /** Whether a file holds this cluster's key, or is the key of any. */
  const isKey = (full: string, text: string): boolean => {
    const { key } = judge.options
    const hex = key instanceof ClusterKey ? Buffer.from(key.reveal()).toString('hex') : undefined
    return isClusterKeyFile(full, text) || (hex !== undefined && text.toLowerCase().includes(hex))
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
    if (isKey(expandPath(name, judge.options), file.text)) {
      judge.mistake(
        path,
        `${show(name)} is a cluster's key, which is never put on a card`,
        'name the file that holds this secret',
      )
      return undefined
    }
    const [line = ''] = file.text.replace(/^\ufeff/, '').split(/\r?\n/)
    if (/\p{Cc}/u.test(line)) {
      judge.mistake(
        path,
        `the first line of ${show(name)} holds a control character`,
        'put the secret there as it is typed: one line of text',
      )
      return undefined
    }
    if (line === '') {
      judge.mistake(path, `the first line of ${show(name)} is empty`, 'put the secret on the first line')
      return undefined
    }
    return line
  }

  /** The keys of an account at GitHub, as they were when somebody first asked for them. */
  const pinned = (account: string, item: string, path: Path): string | undefined => {
    if (!/^[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}$/.test(account)) {
      judge.mistake(path, `${show(item)} names no account at GitHub`, 'for example github:octocat')
      return undefined
    }
    const name = account.toLowerCase()
    const file = pinnedKeysFile(name)
    try {
      return judge.options.readLocal(resolve(judge.options.folder, file)).text
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return read(file, path)?.text
    }
    judge.unpinned.add(name)
    judge.mistake(
      path,
      `the keys of ${show(item)} have not been fetched yet`,
      `once, with a network: curl -fo ${file} --create-dirs https://github.com/${name}.keys`,
    )
    return undefined
  }

  const sshKeysOf = (node: Settings): string[] => {
    const said = pickField(node, 'user', 'sshKeys')
    const lines: string[] = []
    for (const [index, item] of (said?.value ?? []).entries()) {
      if (item === undefined || said === undefined) continue
      const path = [...said.path, index]
      const literal = isLiteralKey(item)
      if (!literal && /^https?:/.test(item)) {
        judge.mistake(path, `${show(item)} is an address, not a file`, keysAddressHint(item))
        continue
      }
      const account = /^(?:github|gh):(.*)$/.exec(item)?.[1]
      const text = literal
        ? item
        : account === undefined
          ? read(item, path)?.text
          : pinned(account, item, path)
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
      const security = pickField(node, 'wifi', 'security')
      const hidden = pickField(node, 'wifi', 'hidden')
      const fields = pickOneOf(node, 'wifi', ['passphraseFile', 'pskFile', 'psk', 'passphrase'])
      // The country alone is enough for a radio that joins nothing.
      if (ssid === undefined && ((country === undefined || fields.length > 0 || security) ?? hidden))
        judge.mistake(at, 'wifi has no "ssid"', "the network's name: ssid: attic", 'key')
      if (country === undefined)
        judge.mistake(
          at,
          'wifi has no "country"',
          'without it the radio stays off; for example country: DE',
          'key',
        )

      const [field, second] = fields
      const said = field === undefined ? undefined : (pickField(node, 'wifi', field) as Said<string>)
      let secret: { psk?: Secret; sae?: Secret } = {}
      if (second !== undefined) {
        const other = pickField(node, 'wifi', second) as Said<string>
        judge.mistake(other.path, `wifi has ${fields.join(' and ')}`, 'keep one of them', 'key')
      } else if (security?.value !== undefined && !fitsSecurity(security as Said<WifiSecurity>, field))
        return undefined
      else if (field !== undefined && said?.value !== undefined && ssid?.value !== undefined)
        secret = readWifiSecret(field, said.value, said.path, ssid.value, security?.value ?? 'wpa2')
      if (country?.value === undefined || (ssid !== undefined && ssid.value === undefined)) return undefined
      return { ssid: ssid?.value, ...secret, country: country.value, hidden: hidden?.value ?? false }
    },
  }

  /** Whether what is given is what that kind of network asks for. */
  function fitsSecurity({ value, path }: Said<WifiSecurity>, field: string | undefined): boolean {
    if (value === undefined) return false
    if (value === 'open' && field !== undefined)
      judge.mistake(path, `an open network has no ${field}`, `take out one of the two`)
    else if (value !== 'open' && field === undefined)
      judge.mistake(path, `${value} needs a pass phrase`, 'give passphraseFile')
    else if (value.includes('wpa3') && field?.startsWith('psk'))
      judge.mistake(
        path,
        `${value} needs the pass phrase itself: a pre-shared key is of WPA2 alone`,
        'give passphraseFile in place of the key',
      )
    else return true
    return false
  }

  function readWifiSecret(
    field: string,
    value: string,
    path: Path,
    ssid: string,
    security: WifiSecurity,
  ): { psk?: Secret; sae?: Secret } {
    const secret = field.endsWith('File') ? readSecretLine(value, path) : value
    if (secret === undefined) return {}
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
      return {}
    }
    if (format === 'psk') return { psk: new Secret(secret.toLowerCase()) }
    const derived = () => once(psks, `${ssid}\n${secret}`, () => new Secret(deriveWpaPsk(secret, ssid)))
    return {
      psk: security === 'wpa3' ? undefined : derived(),
      sae: security.includes('wpa3') ? new Secret(secret) : undefined,
    }
  }
}

/** Where the keys of an account at GitHub are kept, from the cluster file's folder. */
export const pinnedKeysFile = (account: string): string => `ssh-keys/github-${account}.keys`

function keysAddressHint(address: string): string {
  const account = /^https:\/\/github\.com\/([A-Za-z0-9-]+)\.keys$/.exec(address)?.[1]
  return account === undefined ? `download it first: curl -fo my.keys ${address}` : `write github:${account}`
}

/** A key line rather than a path: it starts with a key type, or is a private key pasted by mistake. */
function isLiteralKey(item: string): boolean {
  const [first = ''] = item.trim().split(/[ \t\r\n]/)
  return (
    sshKeyTypes.includes(first) ||
    first === 'ssh-dss' ||
    /[\r\n]|-----|^(ssh|ecdsa|sk)-\S+\s+\S|\sAAAA/.test(item)
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
    case 'EINVAL':
      return [`${show(name)} is a pipe, a socket or a device`, 'name a plain file of a few lines']
    default:
      return [`${show(name)} can't be read (${code})`, `looked for ${full}`]
  }
}

/** 16 characters of salt, the same for one user at every run. */
function saltFor(key: ClusterKey, user: string): string {
  return [...derive(key, 'password-salt', user, 16)].map((byte) => cryptAlphabet[byte % 64]).join('')
}
