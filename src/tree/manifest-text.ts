/**
 * A TreeManifest as text: one line per entry, the same bytes for the same tree.
 *
 *     piimage-tree 1
 *     d 0755 0:0 1700000000 .
 *     f 4755 0:0 1700000000.5 usr/bin/su 55680 6a1f…
 *     f 0644 0:0 1700000000 usr/bin/perl 3985 77b0… =1 user.origin:6465
 *     l 0777 0:0 1700000000 bin usr/bin
 *     c 0666 0:0 1700000000 dev/null 1:3
 *
 * Type, mode, owner, time, path; then size and digest, link target or device
 * number; then `=` and the number of the hard-link group, and the extended
 * attributes as NAME:HEX. In names, `%` and two hex digits stand for a byte
 * that is a control character, a space, a colon, `%`, or not UTF-8.
 */
import type { FileType, Timestamp } from '../disk/ext4/inode.ts'
import { FormatError } from '../errors.ts'
import { bytesFromText, type TreeEntry, type TreeManifest, textFromBytes } from './manifest.ts'
import { formatTime } from './pax.ts'

const HEADING = 'piimage-tree 1'

const letters: Readonly<Record<FileType, string>> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  'character-device': 'c',
  'block-device': 'b',
  fifo: 'p',
  socket: 's',
}

const types = new Map(Object.entries(letters).map(([type, letter]) => [letter, type as FileType]))

export function formatManifest(manifest: TreeManifest): string {
  return `${[HEADING, ...manifest.entries.map(formatEntry)].join('\n')}\n`
}

function formatEntry(entry: TreeEntry): string {
  const { type, mode, uid, gid, mtime, path } = entry
  const fields = [letters[type], mode.toString(8).padStart(4, '0'), `${uid}:${gid}`, formatTime(mtime)]
  fields.push(path === '' ? '.' : escapeName(path))
  if (type === 'file') fields.push(String(entry.size), entry.sha256 ?? '-')
  if (entry.target !== undefined) fields.push(escapeName(entry.target))
  if (entry.rdev !== undefined) fields.push(`${entry.rdev.major}:${entry.rdev.minor}`)
  if (entry.hardLink !== undefined) fields.push(`=${entry.hardLink}`)
  for (const [name, value] of Object.entries(entry.xattrs ?? {})) fields.push(`${escapeName(name)}:${value}`)
  return fields.join(' ')
}

/** Control characters, space, `%`, `:`, and what stands for a byte that is not UTF-8. */
const SPECIAL = /[\0- %:\x7f\udc80-\udcff]/gu

function escapeName(name: string): string {
  return name.replace(SPECIAL, (character) => {
    const [byte = 0] = bytesFromText(character)
    return `%${byte.toString(16).padStart(2, '0')}`
  })
}

function unescapeName(text: string): string {
  if (!text.includes('%')) return text
  if (!/%[89a-f]/.test(text))
    return text.replace(/%([0-7][0-9a-f])/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
  const parts = text.split(/%([0-9a-f]{2})/)
  const bytes = parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from(part, 'hex')))
  return textFromBytes(Buffer.concat(bytes))
}

/**
 * @param source for the error: where the text is from
 * @throws {FormatError} another version, or a line that is no entry
 */
export function parseManifest(text: string, source: string): TreeManifest {
  const lines = text.split('\n')
  if (lines.pop() !== '' || lines[0] !== HEADING)
    throw new FormatError(`${source} is not a complete tree manifest: it should start with '${HEADING}'`)
  const entries = lines.slice(1).map((line, i) => {
    const entry = parseEntry(line)
    if (entry === undefined)
      throw new FormatError(`${source}, line ${i + 2}: ${JSON.stringify(line.slice(0, 200))} is not an entry`)
    return entry
  })
  return { entries }
}

function parseEntry(line: string): TreeEntry | undefined {
  const [letter = '', mode = '', owner = '', time = '', path = '', ...rest] = line.split(' ')
  const type = types.get(letter)
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(owner) ?? []
  const mtime = parseTime(time)
  if (
    type === undefined ||
    !/^[0-7]{4}$/.test(mode) ||
    gid === undefined ||
    mtime === undefined ||
    path === ''
  )
    return undefined
  const entry: TreeEntry = {
    path: path === '.' ? '' : unescapeName(path),
    type,
    mode: Number.parseInt(mode, 8),
    uid: Number(uid),
    gid: Number(gid),
    mtime,
    size: 0,
  }
  return addContent(entry, rest) && addLinkAndXattrs(entry, rest) ? entry : undefined
}

/** Takes the fields that the type asks for. @returns whether they were there */
function addContent(entry: TreeEntry, rest: string[]): boolean {
  if (entry.type === 'file') {
    const [size = '', sha256 = ''] = rest.splice(0, 2)
    entry.size = Number(size)
    if (sha256 !== '-') entry.sha256 = sha256
    return /^\d+$/.test(size) && /^([0-9a-f]{64}|-)$/.test(sha256)
  }
  if (entry.type === 'symlink') {
    const target = rest.shift()
    entry.target = unescapeName(target ?? '')
    return target !== undefined
  }
  if (entry.type === 'character-device' || entry.type === 'block-device') {
    const [, major, minor] = /^(\d+):(\d+)$/.exec(rest.shift() ?? '') ?? []
    entry.rdev = { major: Number(major), minor: Number(minor) }
    return minor !== undefined
  }
  return true
}

function addLinkAndXattrs(entry: TreeEntry, rest: string[]): boolean {
  if (rest[0]?.startsWith('=') === true && /^=\d+$/.test(rest[0])) {
    entry.hardLink = Number(rest[0].slice(1))
    rest.shift()
  }
  if (rest.length === 0) return true
  const fields = rest.map((field) => /^([^:]+):((?:[0-9a-f]{2})*)$/.exec(field))
  if (fields.includes(null)) return false
  entry.xattrs = Object.fromEntries(fields.map((field) => [unescapeName(field?.[1] ?? ''), field?.[2] ?? '']))
  return true
}

/** The reverse of formatTime. */
export function parseTime(text: string): Timestamp | undefined {
  const [, minus, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  const seconds = Number(whole)
  const nanoseconds = Number(fraction.padEnd(9, '0'))
  if (minus === '') return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: seconds === 0 ? 0 : -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds }
}
