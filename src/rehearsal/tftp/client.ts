/**
 * A TFTP client that asks as boot loaders do: `tsize` and `blksize`, one block
 * at a time, and, where only the size is wanted, a transfer given up with
 * "Early terminate" before its first block.
 */
import { createSocket } from 'node:dgram'
import { FormatError } from '../../errors.ts'
import type { BootReply } from '../boot-source.ts'
import { formatAck, formatReadRequest, formatTftpError, readTftpPacket, TFTP_ERROR } from './packet.ts'

export interface TftpServer {
  address: string
  port: number
  /** Of a data packet, without its header. */
  blockBytes: number
}

const RETRY_MS = 1000
const TRIES = 4
const BLOCKS = 65536

/** @param how `probe`: only ask for the size, then give up, as a Pi 4 does before each file */
export function fetchByTftp(server: TftpServer, path: string, how: 'probe' | 'read'): Promise<BootReply> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    const pieces: Uint8Array[] = []
    let blockBytes = 512
    let next = 1
    // The server answers from a port of its own.
    let peer: number | undefined
    let last = formatReadRequest(path, server.blockBytes)
    let triesLeft = TRIES
    const send = () => socket.send(last, peer ?? server.port, server.address)
    const timer = setInterval(() => {
      triesLeft -= 1
      if (triesLeft > 0) send()
      else finish({ kind: 'silent' })
    }, RETRY_MS)
    const finish = (answer: BootReply) => {
      clearInterval(timer)
      socket.removeAllListeners('message')
      socket.close()
      resolve(answer)
    }
    const answer = (packet: Uint8Array) => {
      last = packet
      triesLeft = TRIES
      timer.refresh()
      send()
    }
    // A server that misses the last word keeps the transfer open, and has only so many.
    const finishWith = (packet: Uint8Array, result: BootReply) =>
      socket.send(packet, peer ?? server.port, server.address, () => finish(result))
    const giveUp = () =>
      finishWith(formatTftpError(TFTP_ERROR.notDefined, 'Early terminate'), {
        kind: 'file',
        bytes: new Uint8Array(),
      })
    socket.on('error', () => finish({ kind: 'silent' }))
    socket.on('message', (bytes, from) => {
      if (from.address !== server.address || (peer !== undefined && from.port !== peer)) return
      peer = from.port
      const packet = readPacket(bytes)
      if (packet === undefined) return
      if (packet.kind === 'error') finish(answerToError(packet))
      else if (packet.kind === 'options') {
        blockBytes = Number(packet.options.get('blksize') ?? 512)
        if (how === 'probe') giveUp()
        else answer(formatAck(0))
      } else if (packet.block === next % BLOCKS) {
        if (how === 'probe') return giveUp()
        pieces.push(packet.bytes)
        next += 1
        const ack = formatAck(packet.block)
        if (packet.bytes.length === blockBytes) answer(ack)
        else finishWith(ack, { kind: 'file', bytes: Buffer.concat(pieces) })
      }
    })
    socket.bind(0, send)
  })
}

function answerToError({ code, message }: { code: number; message: string }): BootReply {
  return code === TFTP_ERROR.notFound ? { kind: 'missing' } : { kind: 'refused', message }
}

function readPacket(bytes: Uint8Array): ReturnType<typeof readTftpPacket> | undefined {
  try {
    return readTftpPacket(bytes)
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}
