/**
 * POSIX access control lists: ext4 stores version 1, with an id only where an
 * entry has one; system calls, tar and setfattr speak version 2, with an id
 * everywhere.
 *
 * Source: Linux fs/ext4/acl.h and include/uapi/linux/posix_acl_xattr.h (the
 * layouts); little-endian.
 */
import { damaged } from './damage.ts'

const TAG_USER = 0x02
const TAG_GROUP = 0x08
const NO_ID = 0xffffffff

/**
 * @param offset byte of the volume where the attribute stands, for errors
 * @throws {FormatError} another version, or an entry that is cut off
 */
export function posixAclFromDisk(stored: Buffer, offset: number): Buffer {
  if (stored.length < 4 || stored.readUInt32LE(0) !== 1)
    throw damaged('an access control list of unknown form', offset)
  const parts = [Buffer.from([2, 0, 0, 0])]
  for (let at = 4; at < stored.length; ) {
    if (at + 4 > stored.length) throw damaged('an access control list is cut off', offset)
    const tag = stored.readUInt16LE(at)
    const named = tag === TAG_USER || tag === TAG_GROUP
    if (named && at + 8 > stored.length) throw damaged('an access control list is cut off', offset)
    const entry = Buffer.alloc(8)
    stored.copy(entry, 0, at, at + 4)
    entry.writeUInt32LE(named ? stored.readUInt32LE(at + 4) : NO_ID, 4)
    parts.push(entry)
    at += named ? 8 : 4
  }
  return Buffer.concat(parts)
}
