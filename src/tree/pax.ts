/**
 * What a plain tar header can't say of an entry: names that are long or no
 * ASCII, nanoseconds, large owners, extended attributes, holes. Each is a
 * record "LENGTH KEYWORD=VALUE\n" in a header of its own before the entry's.
 *
 * Values are bytes, as GNU tar writes and reads them: a file capability is no
 * text, and a name need not be UTF-8.
 *
 * Source: POSIX.1-2017, pax, "pax Extended Header"; GNU tar manual, "Storing
 * Sparse Files" (version 1.0) and "SCHILY.xattr".
 */

import type { Range } from '../disk/blocks.ts'
import type { Timestamp } from '../disk/ext4/inode.ts'
import { trimEnd } from '../trim-end.ts'
import { bytesFromText, type TreeEntry } from './manifest.ts'

export interface PaxRecord {
  keyword: Buffer
  value: Buffer
}

/** What fits into a header: 100 bytes of name, octal numbers of a fixed width. */
const NAME_BYTES = 100
const OWNER_MAX = 0o777777
export const SECONDS_MAX = 2 ** 31 - 1

const ASCII = /^[\x20-\x7e]*$/

export function fitsHeader(name: string): boolean {
  return name.length <= NAME_BYTES && ASCII.test(name)
}

/**
 * @param name of the entry in the archive
 * @param holes where a file with holes has data; its name is then in the records, whatever it is
 */
export function paxRecords(entry: TreeEntry, name: string, linkName?: string, data?: Range[]): PaxRecord[] {
  const records: PaxRecord[] = []
  const add = (keyword: string, value: string | Buffer) =>
    records.push({ keyword: bytesFromText(keyword), value: Buffer.from(value) })

  if (data !== undefined) {
    add('GNU.sparse.major', '1')
    add('GNU.sparse.minor', '0')
    add('GNU.sparse.name', bytesFromText(name))
    add('GNU.sparse.realsize', String(entry.size))
  } else if (!fitsHeader(name)) add('path', bytesFromText(name))
  if (linkName !== undefined && !fitsHeader(linkName)) add('linkpath', bytesFromText(linkName))
  if (entry.uid > OWNER_MAX) add('uid', String(entry.uid))
  if (entry.gid > OWNER_MAX) add('gid', String(entry.gid))
  const { seconds, nanoseconds } = entry.mtime
  if (nanoseconds !== 0 || seconds < 0 || seconds > SECONDS_MAX) add('mtime', formatTime(entry.mtime))
  for (const [attribute, value] of Object.entries(entry.xattrs ?? {}))
    add(`SCHILY.xattr.${escapeAttribute(attribute)}`, Buffer.from(value, 'hex'))
  return records
}

/** An `=` would end the keyword. As GNU tar does it. */
function escapeAttribute(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D')
}

/** Seconds since 1970 as a decimal fraction: `-1.5` is one and a half seconds before. */
export function formatTime({ seconds, nanoseconds }: Timestamp): string {
  if (seconds < 0 && nanoseconds > 0) {
    const text = formatTime({ seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds })
    return `-${text}`
  }
  if (nanoseconds === 0) return String(seconds)
  return `${seconds}.${trimEnd(String(nanoseconds).padStart(9, '0'), '0')}`
}

/** The records as whole blocks: what is left of the last one is a comment. */
export function formatPax(records: readonly PaxRecord[]): Buffer {
  const bytes = Buffer.concat(records.map(formatRecord))
  let padding = -bytes.length & 511
  if (padding === 0) return bytes
  if (padding < EMPTY_COMMENT_BYTES) padding += 512
  const frame = `${padding} comment=`
  return Buffer.concat([bytes, Buffer.from(`${frame.padEnd(padding - 1, ' ')}\n`)])
}

const EMPTY_COMMENT_BYTES = '12 comment=\n'.length

function formatRecord({ keyword, value }: PaxRecord): Buffer {
  const rest = Buffer.concat([Buffer.from(' '), keyword, Buffer.from('='), value, Buffer.from('\n')])
  // The length counts itself.
  let length = rest.length + String(rest.length).length
  if (String(length).length > String(rest.length).length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** Where the data of a file with holes belongs: stands before the data itself, in whole blocks. */
export function formatSparseMap(data: readonly Range[], size: number): Buffer {
  const last = data.at(-1)
  const ends = last !== undefined && last.offset + last.length === size
  // An empty run at the end: without it the file would end with its last data.
  const runs = ends ? data : [...data, { offset: size, length: 0 }]
  const lines = [runs.length, ...runs.flatMap(({ offset, length }) => [offset, length])]
  const bytes = Buffer.from(`${lines.join('\n')}\n`)
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 511)])
}
