/**
 * A switch that guests are plugged into: a bridge in a network namespace of its
 * own, with an address of its own, where servers can be run. Nothing leads out.
 * Needs root.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { type Ran, run } from '../support/tools.ts'
import { inNetns } from './guest.ts'

let opened = 0

/** A namespace on the switch with one interface, `eth0`: a board before there is a system on it. */
export interface Attached {
  run(command: string, args: string[]): Ran
  setAddress(address: string): void
  detach(): void
}

export class VirtualSwitch {
  readonly netns = `pi${process.pid % 100000}-switch${opened++}`
  /** The interface that has the address. */
  readonly bridge = 'eth0'
  readonly #servers: ChildProcess[] = []
  #taps = 0
  readonly #interrupted = (): never => process.exit(1)

  readonly #close = (): void => {
    for (const server of this.#servers) server.kill('SIGKILL')
    run('ip', ['netns', 'del', this.netns])
  }

  /** @param address of the switch itself, with its prefix */
  constructor(address: string) {
    // Nothing may be left of it, also when the test is interrupted.
    process.once('exit', this.#close)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, this.#interrupted)
    this.#must('ip', ['netns', 'add', this.netns])
    for (const words of [
      ['link', 'set', 'lo', 'up'],
      ['link', 'add', this.bridge, 'type', 'bridge', 'forward_delay', '0'],
      ['addr', 'add', address, 'dev', this.bridge],
      ['link', 'set', this.bridge, 'up'],
    ])
      this.#must('ip', ['-n', this.netns, ...words])
  }

  #must(command: string, args: string[]): void {
    const ran = run(command, args)
    if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
  }

  /** A further socket. @returns QEMU's arguments for the plug in it, for a QEMU that runs in `netns` */
  plug(mac: string): string[] {
    const tap = `tap${this.#taps++}`
    this.#must('ip', ['-n', this.netns, 'tuntap', 'add', 'dev', tap, 'mode', 'tap'])
    this.#must('ip', ['-n', this.netns, 'link', 'set', tap, 'master', this.bridge, 'up'])
    const network = `tap,id=n0,ifname=${tap},script=no,downscript=no`
    return ['-netdev', network, '-device', `virtio-net-pci,netdev=n0,mac=${mac},romfile=`]
  }

  /** Plug in a namespace instead of a guest. */
  attach(mac: string): Attached {
    const netns = `${this.netns}-${mac.replaceAll(':', '')}`
    const plug = `v${mac.replaceAll(':', '').slice(-8)}`
    const link = ['link', 'add', 'eth0', 'address', mac, 'type', 'veth', 'peer', 'name', plug]
    this.#must('ip', ['netns', 'add', netns])
    this.#must('ip', ['-n', netns, ...link, 'netns', this.netns])
    this.#must('ip', ['-n', this.netns, 'link', 'set', plug, 'master', this.bridge, 'up'])
    this.#must('ip', ['-n', netns, 'link', 'set', 'eth0', 'up'])
    return {
      run: (command, args) => {
        const [program = '', ...words] = inNetns(netns, [command, ...args])
        return run(program, words)
      },
      setAddress: (address) => this.#must('ip', ['-n', netns, 'addr', 'add', address, 'dev', 'eth0']),
      detach: () => this.#must('ip', ['netns', 'del', netns]),
    }
  }

  /** Run a program here, to its end. */
  run(command: string, args: string[]): Ran {
    const [program = '', ...words] = inNetns(this.netns, [command, ...args])
    return run(program, words)
  }

  /** Run a server here until `close`; what it says goes to the file `log`. */
  serve(log: string, command: string, args: string[]): ChildProcess {
    const file = openSync(log, 'a')
    const [program = '', ...words] = inNetns(this.netns, [command, ...args])
    const server = spawn(program, words, { stdio: ['ignore', file, file] })
    closeSync(file)
    server.on('error', () => {})
    this.#servers.push(server)
    return server
  }

  close(): void {
    process.removeListener('exit', this.#close)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, this.#interrupted)
    this.#close()
  }
}
