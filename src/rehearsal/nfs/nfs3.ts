/**
 * NFS version 3, as far as looking goes: find a file, follow its links, read
 * its first bytes, and ask what its owner may do. Nothing is changed.
 *
 * Source: RFC 1813 §3.3 (LOOKUP, ACCESS, READLINK, READ).
 */
import { NFS } from './mount.ts'
import { openRpc } from './rpc.ts'
import { opaque, text, uint32, type XdrReader } from './xdr.ts'

export const ACCESS = { read: 0x01, lookup: 0x02, modify: 0x04, extend: 0x08, delete: 0x10 } as const

const LINK = 5
const ATTRIBUTE_BYTES = 84
const MAX_LINKS = 40

export interface NfsFile {
  handle: Uint8Array
}

export interface NfsClient {
  /** undefined: it isn't there, or root may not look. */
  find(root: NfsFile, path: string): Promise<NfsFile | undefined>
  /** Which of the ACCESS bits user 0 is granted. */
  access(file: NfsFile, wanted: number): Promise<number>
  /** undefined: it may not be read. */
  read(file: NfsFile, bytes: number): Promise<Uint8Array | undefined>
  close(): void
}

/** @throws {RpcProblem} nobody listens there */
export async function openNfs(address: string, port: number): Promise<NfsClient> {
  const rpc = await openRpc({ address, port, ...NFS })
  const lookup = async (folder: Uint8Array, name: string) => {
    const reply = await rpc.call(3, Buffer.concat([opaque(folder), text(name)]))
    if (reply.uint32() !== 0) return undefined
    const handle = Buffer.from(reply.opaque())
    return { handle, type: readType(reply) ?? (await typeOf(handle)) }
  }
  const typeOf = async (handle: Uint8Array) => {
    const reply = await rpc.call(1, opaque(handle))
    return reply.uint32() === 0 ? reply.uint32() : undefined
  }
  const readLink = async (handle: Uint8Array) => {
    const reply = await rpc.call(5, opaque(handle))
    if (reply.uint32() !== 0) return undefined
    readType(reply)
    return reply.text()
  }
  return {
    async find(root, path) {
      const names = (line: string) => line.split('/').filter((name) => name !== '' && name !== '.')
      const waiting = names(path)
      let folders = [root.handle]
      let links = 0
      while (waiting.length > 0) {
        const name = waiting.shift() as string
        if (name === '..') {
          if (folders.length > 1) folders.pop()
          continue
        }
        const found = await lookup(folders.at(-1) as Uint8Array, name)
        if (found === undefined) return undefined
        if (found.type !== LINK) {
          folders.push(found.handle)
          continue
        }
        const target = await readLink(found.handle)
        links += 1
        if (target === undefined || links > MAX_LINKS) return undefined
        if (target.startsWith('/')) folders = [root.handle]
        waiting.unshift(...names(target))
      }
      return { handle: folders.at(-1) as Uint8Array }
    },
    async access({ handle }, wanted) {
      const reply = await rpc.call(4, Buffer.concat([opaque(handle), uint32(wanted)]))
      if (reply.uint32() !== 0) return 0
      readType(reply)
      return reply.uint32()
    },
    async read({ handle }, bytes) {
      const reply = await rpc.call(6, Buffer.concat([opaque(handle), uint32(0), uint32(0), uint32(bytes)]))
      if (reply.uint32() !== 0) return undefined
      readType(reply)
      reply.uint32()
      reply.uint32()
      return reply.opaque()
    },
    close: () => rpc.close(),
  }
}

/** The optional attributes of an answer; only the kind of file is kept. */
function readType(reply: XdrReader): number | undefined {
  if (reply.uint32() === 0) return undefined
  const type = reply.uint32()
  reply.bytes(ATTRIBUTE_BYTES - 4)
  return type
}
