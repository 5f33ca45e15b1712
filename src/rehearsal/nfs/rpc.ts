/**
 * ONC RPC over TCP: one call after the other on one connection, as root of a
 * node would make them (AUTH_SYS, user 0, from a privileged port).
 *
 * Source: RFC 5531 (messages, record marking §11, AUTH_SYS appendix A).
 */
import { createConnection, type Socket } from 'node:net'
import { FormatError } from '../../errors.ts'
import { opaque, text, uint32, XdrReader } from './xdr.ts'

export interface RpcServer {
  address: string
  port: number
  program: number
  version: number
}

export interface RpcConnection {
  /**
   * @throws {RpcProblem} the server did not carry it out, or went away
   * @throws {FormatError} its answer is malformed
   */
  call(procedure: number, args?: Uint8Array): Promise<XdrReader>
  close(): void
}

/** The server can't be reached, or refuses the call as such. */
export class RpcProblem extends Error {}

const TIMEOUT_MS = 5000
/** Servers with `secure` exports listen to these only; below 665 some belong to known services. */
const PRIVILEGED = { first: 1023, last: 665 }
let nextPort = PRIVILEGED.first

/** @throws {RpcProblem} nobody listens there */
export async function openRpc(server: RpcServer): Promise<RpcConnection> {
  const socket = await connect(server)
  let received = Buffer.alloc(0)
  let waiting: { resolve(message: Buffer): void; reject(error: Error): void } | undefined
  const fail = (why: string) => {
    waiting?.reject(new RpcProblem(`${server.address}:${server.port} ${why}`))
    waiting = undefined
  }
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes])
    const message = takeRecord(received)
    if (message === undefined) return
    received = Buffer.alloc(0)
    waiting?.resolve(message)
    waiting = undefined
  })
  socket.on('error', ({ message }) => fail(message))
  socket.on('close', () => fail('closed the connection'))
  socket.setTimeout(TIMEOUT_MS, () => fail('gives no answer'))
  let xid = 1
  return {
    async call(procedure, args = new Uint8Array()) {
      xid += 1
      const answer = new Promise<Buffer>((resolve, reject) => {
        waiting = { resolve, reject }
      })
      const message = Buffer.concat([
        ...[xid, 0, 2, server.program, server.version, procedure].map(uint32),
        rootCredentials(),
        uint32(0),
        uint32(0),
        args,
      ])
      // One fragment, and the last.
      socket.write(Buffer.concat([uint32(0x80000000 + message.length), message]))
      return readReply(await answer, server)
    },
    close: () => void socket.destroy(),
  }
}

/** From the first privileged port that is free. */
async function connect({ address, port }: RpcServer): Promise<Socket> {
  for (let tries = PRIVILEGED.first - PRIVILEGED.last; ; tries--) {
    const localPort = nextPort
    nextPort = nextPort === PRIVILEGED.last ? PRIVILEGED.first : nextPort - 1
    const socket = createConnection({ host: address, port, localPort })
    const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined))
      socket.once('error', resolve)
      socket.setTimeout(TIMEOUT_MS, () => resolve(new Error('no answer')))
    })
    if (problem === undefined) return socket
    socket.destroy()
    if (!['EADDRINUSE', 'EADDRNOTAVAIL'].includes(problem.code ?? '') || tries === 0)
      throw new RpcProblem(`${address}:${port}: ${problem.code ?? problem.message}`)
  }
}

/** undefined: more is to come. */
function takeRecord(bytes: Buffer): Buffer | undefined {
  const pieces: Buffer[] = []
  for (let offset = 0; offset + 4 <= bytes.length; ) {
    const mark = bytes.readUInt32BE(offset)
    const length = mark % 0x80000000
    if (offset + 4 + length > bytes.length) return undefined
    pieces.push(bytes.subarray(offset + 4, offset + 4 + length))
    if (mark >= 0x80000000) return Buffer.concat(pieces)
    offset += 4 + length
  }
  return undefined
}

const rootCredentials = (): Buffer =>
  Buffer.concat([
    uint32(1),
    opaque(Buffer.concat([uint32(0), text('piimage'), uint32(0), uint32(0), uint32(0)])),
  ])

const acceptance = [
  '',
  'has no such program',
  'has no such version',
  'has no such procedure',
  'can’t read the call',
  'failed',
]

function readReply(message: Buffer, { address, port, program, version }: RpcServer): XdrReader {
  const reply = new XdrReader(message)
  reply.uint32()
  if (reply.uint32() !== 1) throw new FormatError(`${address}:${port} answers an RPC call with a call`)
  if (reply.uint32() !== 0) throw new RpcProblem(`${address}:${port} denies the call`)
  reply.uint32()
  reply.opaque()
  const accepted = reply.uint32()
  if (accepted !== 0)
    throw new RpcProblem(
      `${address}:${port} ${acceptance[accepted] ?? 'refuses'} (program ${program} version ${version})`,
    )
  return reply
}
