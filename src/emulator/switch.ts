/**
 * The switch between guests: each QEMU connects to a socket in a folder that
 * only this user may enter, and frames go where their address was heard. One more QEMU,
 * without a machine, gives the network a gateway, and ports that lead to each
 * guest's ssh. No root, no interface of this machine.
 *
 * Source: qemu(1), `-netdev stream`: each frame with its length before it, 32
 * bits, big-endian.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { QEMU } from './qemu.ts'

/** A frame has at most 64 KiB and its header, offloaded segments included. */
const LONGEST_FRAME = 70_000
const LENGTH_BYTES = 4

export class Switch {
  readonly #path: string
  readonly #server: Server
  readonly #plugs = new Set<Socket>()
  /** Ethernet address, in hex → the plug that it was heard from. */
  readonly #addresses = new Map<string, Socket>()
  #gateway: ChildProcess | undefined

  private constructor(path: string, server: Server) {
    this.#path = path
    this.#server = server
  }

  /** @param path of the socket; a Unix socket's has at most some hundred bytes */
  static async open(path: string): Promise<Switch> {
    const server = createServer()
    const made = new Switch(path, server)
    server.on('connection', (socket) => made.#plugIn(socket))
    server.listen(path)
    await once(server, 'listening')
    return made
  }

  #plugIn(socket: Socket): void {
    this.#plugs.add(socket)
    let rest: Buffer = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      let at = 0
      while (rest.length >= at + LENGTH_BYTES) {
        const length = rest.readUInt32BE(at)
        if (length > LONGEST_FRAME) return void socket.destroy()
        const end = at + LENGTH_BYTES + length
        if (rest.length < end) break
        this.#forward(socket, rest.subarray(at, end))
        at = end
      }
      rest = rest.subarray(at)
    })
    const pullOut = () => void this.#plugs.delete(socket)
    socket.on('close', pullOut).on('error', pullOut)
  }

  /**
   * To whom it is for, where that is known: the gateway takes whatever it hears
   * for its own, and would refuse connections between guests.
   */
  #forward(from: Socket, frame: Buffer): void {
    const address = (start: number) => frame.toString('hex', LENGTH_BYTES + start, LENGTH_BYTES + start + 6)
    this.#addresses.set(address(6), from)
    const to = this.#addresses.get(address(0))
    for (const plug of to !== undefined && this.#plugs.has(to) ? [to] : this.#plugs)
      if (plug !== from) plug.write(frame)
  }

  /** The value of `-netdev` for one more plug. */
  plug(id: string): string {
    return `stream,id=${id},server=off,addr.type=unix,addr.path=${this.#path.replaceAll(',', ',,')}`
  }

  /** Give the network its gateway. @param network a value of `-netdev` with the id `out` */
  startGateway(network: string, onTrouble: (text: string) => void): void {
    const hub = ['out', 'in'].flatMap((id) => ['-netdev', `hubport,id=hub-${id},hubid=0,netdev=${id}`])
    const words = ['-M', 'none', '-display', 'none', '-monitor', 'none', '-serial', 'none']
    const gateway = spawn(QEMU, [...words, '-netdev', network, '-netdev', this.plug('in'), ...hub], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    // That its hub has no guest is what it is for.
    const hear = (text: string) => void (/warning: hub/.test(text) || onTrouble(text))
    gateway.stderr.setEncoding('utf8').on('data', hear)
    gateway.on('error', ({ message }) => onTrouble(message))
    this.#gateway = gateway
    process.once('exit', this.#kill)
  }

  readonly #kill = (): void => void this.#gateway?.kill('SIGKILL')

  async close(): Promise<void> {
    process.removeListener('exit', this.#kill)
    const gateway = this.#gateway
    this.#kill()
    for (const socket of this.#plugs) socket.destroy()
    this.#server.close()
    if (gateway !== undefined && gateway.exitCode === null && gateway.signalCode === null)
      await once(gateway, 'close').catch(() => {})
  }
}
