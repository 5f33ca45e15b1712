/**
 * A node's user and the accounts beside it, with what lies in files of its own:
 * public keys, a password to hash.
 *
 * What is a secret is never part of a message.
 */
import { resolve } from 'node:path'
import { Secret } from '../secret.ts'
import { parseAuthorizedKeys, sshKeyTypes } from '../secrets/authorized-keys.ts'
import { ClusterKey } from '../secrets/cluster-key.ts'
import { derive } from '../secrets/derive.ts'
import { cryptAlphabet, sha512crypt } from '../secrets/sha512crypt.ts'
import type { FurtherUserSettings } from './file-shape.ts'
import type { Judge } from './judge.ts'
import { accountsOf, type Fields, hasMap, type Layer, pick } from './layers.ts'
import { openLocalFiles } from './local-files.ts'
import type { FurtherUser, User, Wifi } from './node.ts'
import { refuseTwice } from './refuse-twice.ts'
import { show } from './schema-check.ts'
import { openWifi } from './wifi.ts'
import type { Path } from './yaml-source.ts'

interface Settings {
  layers: readonly Layer[]
}

type Account = Fields<FurtherUserSettings>

/** Resolves users and networks; what nodes share is read, hashed and judged once. */
export interface Accounts {
  userOf: (node: Settings) => User | undefined
  wifiOf: (node: Settings) => Wifi | undefined
}

export function openAccounts(judge: Judge): Accounts {
  const files = openLocalFiles(judge)
  const hashes = new Map<string, Secret>()

  const once = <T>(cache: Map<string, T>, key: string, make: () => T): T => {
    const known = cache.get(key)
    if (known !== undefined) return known
    const made = make()
    cache.set(key, made)
    return made
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
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return files.read(file, path)?.text
    }
    judge.unpinned.add(name)
    judge.mistake(
      path,
      `the keys of ${show(item)} have not been fetched yet`,
      `once, with a network: curl -fo ${file} --create-dirs https://github.com/${name}.keys`,
    )
    return undefined
  }

  const sshKeysOf = (account: Account): string[] => {
    const said = account.said('sshKeys')
    const lines: string[] = []
    for (const [index, item] of (said?.value ?? []).entries()) {
      if (item === undefined || said === undefined) continue
      const path = [...said.path, index]
      const literal = isLiteralKey(item)
      if (!literal && /^https?:/.test(item)) {
        judge.mistake(path, `${show(item)} is an address, not a file`, keysAddressHint(item))
        continue
      }
      const other = literal ? undefined : keysElsewhere(item)
      if (other !== undefined) {
        judge.mistake(path, ...other)
        continue
      }
      const account = /^(?:github|gh):(.*)$/.exec(item)?.[1]
      const text = literal
        ? item
        : account === undefined
          ? files.read(item, path)?.text
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

  const passwordOf = (account: Account, name: string | undefined): Secret | undefined => {
    const [field, second] = account.named(passwordFields)
    if (field === undefined) return undefined
    const said = account.said(field)
    if (second !== undefined) {
      const at = account.said(second)?.path ?? account.path
      judge.mistake(at, `user has both ${field} and ${second}`, 'keep one of the two', 'key')
      return undefined
    }
    if (said?.value === undefined) return undefined
    if (field === 'passwordHash') return new Secret(said.value)
    const password = files.readSecretLine(said.value, said.path)
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

  /** @returns undefined: it has no name, which was reported */
  const resolveUser = (account: Account): Omit<User, 'others'> | undefined => {
    const name = account.said('name')
    if (name === undefined) judge.mistake(account.path, 'user has no "name"', 'for example name: ops', 'key')
    const sshKeys = sshKeysOf(account)
    const passwordHash = passwordOf(account, name?.value)
    const sudo = account.said('sudoPassword')
    if (sudo?.value === true && account.named(passwordFields).length === 0)
      judge.mistake(
        sudo.path,
        'sudo would ask for a password that the user does not have',
        'give passwordFile or passwordHash, or sudoPassword: false',
      )
    if (name?.value === undefined) return undefined
    return { name: name.value, passwordHash, sshKeys, sudoPassword: sudo?.value ?? false }
  }

  const resolveFurther = (account: Account): FurtherUser | undefined => {
    const user = resolveUser(account)
    const asks = account.said('sudoPassword')
    const sudo = account.said('sudo')?.value ?? asks?.value ?? false
    if (asks?.value === true && !sudo)
      judge.mistake(asks.path, 'sudo: false leaves nothing to ask a password for', 'keep one of the two')
    if (user === undefined) return undefined
    const groups = (account.said('groups')?.value ?? []).filter((group) => group !== undefined)
    return { ...user, sudo, groups: [...new Set(groups)], shell: account.said('shell')?.value ?? '/bin/bash' }
  }

  return {
    userOf(node) {
      const [main, ...further] = accountsOf(node)
      if (!hasMap(node, 'user') || main === undefined) {
        const path = pick(node, 'users')?.path
        if (path !== undefined && further.length > 0)
          judge.mistake(
            path,
            'users are made beside a user, and this node has none',
            'add user: { name: ops, … }',
            'key',
          )
        return undefined
      }
      const names = [main, ...further].map(({ said }) => said('name'))
      refuseTwice(judge, 'user', names)
      const user = resolveUser(main)
      const others = further.map(resolveFurther).filter((other) => other !== undefined)
      return user === undefined || others.length === 0 ? user : { ...user, others }
    },

    wifiOf: openWifi(judge, files),
  }
}

const passwordFields = ['passwordHash', 'passwordFile'] as const

/** Where the keys of an account at GitHub are kept, from the cluster file's folder. */
export const pinnedKeysFile = (account: string): string => `ssh-keys/github-${account}.keys`

/** Where others publish the keys of an account; none of them is asked. */
const publishers: Record<string, string> = {
  gl: 'https://gitlab.com/NAME.keys',
  gitlab: 'https://gitlab.com/NAME.keys',
  lp: 'https://launchpad.net/~NAME/+sshkeys',
  launchpad: 'https://launchpad.net/~NAME/+sshkeys',
  codeberg: 'https://codeberg.org/NAME.keys',
}

/** An account somewhere else than at GitHub, or one at GitHub in another spelling. */
function keysElsewhere(item: string): [message: string, hint: string] | undefined {
  const [, where = '', name = ''] = /^([a-z.]+):([\w.-]+)$/i.exec(item) ?? []
  const page = Object.hasOwn(publishers, where.toLowerCase()) ? publishers[where.toLowerCase()] : undefined
  if (page !== undefined)
    return [
      `${show(item)} is an account, and only those at GitHub are asked for their keys (github:NAME, gh:NAME)`,
      `download them: curl -fo ${name}.keys ${page.replace('NAME', name)}, and name that file`,
    ]
  const account =
    /^(?:gh|github):([\w-]+)$/i.exec(item)?.[1] ?? /^(?:git@)?github\.com[:/]([\w-]+)$/i.exec(item)?.[1]
  if (account === undefined || /^(?:gh|github):/.test(item)) return undefined
  return [`${show(item)} is not a file`, `write github:${account}`]
}

function keysAddressHint(address: string): string {
  const account = /^https?:\/\/github\.com\/([A-Za-z0-9-]+)(?:\.keys|\/)?$/.exec(address)?.[1]
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

/** 16 characters of salt, the same for one user at every run. */
function saltFor(key: ClusterKey, user: string): string {
  return [...derive(key, 'password-salt', user, 16)].map((byte) => cryptAlphabet[byte % 64]).join('')
}
