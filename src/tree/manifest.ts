/**
 * A tree of files as plain values: everything that stat(2), readlink(2) and
 * listxattr(2) say of each entry, and the digest of its contents.
 *
 * Names are bytes on Linux and need not be UTF-8. Here they are strings in
 * which a byte that is none stands as a lone surrogate, U+DC80 for 0x80 to
 * U+DCFF for 0xFF, so that no name is changed or becomes another's.
 */
import { isUtf8 } from 'node:buffer'
import type { FileType, Timestamp } from '../disk/ext4/inode.ts'

export interface TreeEntry {
  /** From the root, without a slash in front; '' for the root. */
  path: string
  type: FileType
  /** Permissions, set-id and sticky bits: the lower twelve of stat(2). */
  mode: number
  uid: number
  gid: number
  mtime: Timestamp
  /** Bytes of a file; 0 for everything else. */
  size: number
  /** Of a file's contents, lower-case hex. */
  sha256?: string
  /** Of a symbolic link, in the same spelling as `path`. */
  target?: string
  /** Of a device. */
  rdev?: { major: number; minor: number }
  /** Entries with the same number are names of one file; absent for a file with one name in the tree. */
  hardLink?: number
  /** Extended attributes, access control lists among them: name → value in lower-case hex. */
  xattrs?: Readonly<Record<string, string>>
}

export interface TreeManifest {
  /** Each directory before what is in it, names in the order of their bytes; the root first. */
  entries: TreeEntry[]
}

const FIRST_ESCAPE = 0xdc00

/** Bytes of a name, a path or a link target → the string that stands for them. */
export function textFromBytes(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : decodeByByte(bytes)
}

function decodeByByte(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at)
    text +=
      length === 0
        ? String.fromCharCode(FIRST_ESCAPE + (bytes[at] as number))
        : bytes.toString('utf8', at, at + length)
    at += Math.max(1, length)
  }
  return text
}

/** Of the UTF-8 sequence at `at`; 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] as number
  const length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
  return length > 0 && isUtf8(bytes.subarray(at, at + length)) ? length : 0
}

/** The bytes that a string of textFromBytes stands for. */
export function bytesFromText(text: string): Buffer {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text)
  const parts: Buffer[] = []
  // By code point: the second half of a pair is no escape.
  for (const character of text) {
    const code = character.codePointAt(0) as number
    const isEscape = code >= FIRST_ESCAPE + 0x80 && code <= FIRST_ESCAPE + 0xff
    parts.push(isEscape ? Buffer.from([code - FIRST_ESCAPE]) : Buffer.from(character))
  }
  return Buffer.concat(parts)
}

/** In the order of a TreeManifest; the list itself is sorted. */
export function sortEntries(entries: TreeEntry[]): TreeEntry[] {
  // A slash before every other byte: a directory's contents follow it at once.
  const keys = new Map(entries.map((entry) => [entry, sortKey(entry.path)]))
  return entries.sort((a, b) => Buffer.compare(keys.get(a) as Buffer, keys.get(b) as Buffer))
}

function sortKey(path: string): Buffer {
  const key = bytesFromText(path)
  for (let at = key.indexOf(0x2f); at !== -1; at = key.indexOf(0x2f, at + 1)) key[at] = 0
  return key
}
