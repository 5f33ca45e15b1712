/**
 * The files that a cluster file names: keys, passwords, pass phrases. Each is
 * read once, and what is a secret is never part of a message.
 */
import { resolve } from 'node:path'
import { ClusterKey, isClusterKeyFile } from '../secrets/cluster-key.ts'
import type { Judge, LocalFile } from './judge.ts'
import { show } from './schema-check.ts'
import type { Path } from './yaml-source.ts'

export interface LocalFiles {
  /** A named file's content; undefined after its absence was reported. */
  read(name: string, path: Path): LocalFile | undefined
  /** The first line of a file that only its owner may read; undefined after what is wrong was reported. */
  readSecretLine(name: string, path: Path): string | undefined
}

export function openLocalFiles(judge: Judge): LocalFiles {
  const files = new Map<string, LocalFile | undefined>()

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
    judge.secrets.add(line)
    return line
  }

  return { read, readSecretLine }
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
