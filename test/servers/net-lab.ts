/**
 * A server and a board on one switch, in network namespaces: real dnsmasq with
 * the files as they were rendered, and a board that asks as a Pi's boot ROM does.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunProgram, runProgram } from '../../src/io/run-program.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, type Ran, run } from '../support/tools.ts'
import type { Offer, Question } from './board.ts'

const board = join(import.meta.dirname, 'board.js')

/** The rendered files over the machine's own; /var is the test's. */
const AS_SERVER = `set -e
mount -t overlay overlay -o "lowerdir=$1/etc:/etc" /etc
mount --bind "$1/var/log" /var/log
mount --bind "$1/var/lib/misc" /var/lib/misc
shift
exec "$@"`

let labs = 0

export class NetLab {
  /** Stands for `/`. */
  readonly prefix: string
  readonly #name: string
  readonly #running = new Set<ChildProcess>()

  private constructor(folder: string, name: string) {
    this.prefix = join(folder, 'prefix')
    this.#name = name
    for (const part of ['etc', 'var/log', 'var/lib/misc'])
      mkdirSync(join(this.prefix, part), { recursive: true })
  }

  /** @returns undefined after a skip */
  static open(t: TestContext): NetLab | undefined {
    if (!needRoot(t)) return undefined
    for (const [tool, debianPackage] of [
      ['dnsmasq', 'dnsmasq-base'],
      ['busybox', 'busybox-static'],
      ['ip', 'iproute2'],
      ['nsenter', 'util-linux'],
    ] as const)
      if (needTool(t, tool, debianPackage) === undefined) return undefined
    labs += 1
    let lab: NetLab | undefined
    const folder = tempFolder(t, () => lab?.close())
    // dnsmasq reads as a user of its own.
    chmodSync(folder, 0o711)
    lab = new NetLab(folder, `servers${process.pid}-${labs}`)
    lab.#build()
    return lab
  }

  #build(): void {
    const [sw, server, other, pi] = ['sw', 'server', 'other', 'pi'].map((name) => this.netns(name))
    for (const netns of [sw, server, other, pi]) {
      this.#ip('netns', 'add', netns)
      this.#ip('-n', netns, 'link', 'set', 'lo', 'up')
    }
    this.#ip('-n', sw, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0')
    this.#ip('-n', sw, 'link', 'set', 'br0', 'up')
    for (const [netns, port] of [
      [server, 'p-server'],
      [other, 'p-other'],
      [pi, 'p-pi'],
    ] as const) {
      this.#ip('-n', netns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', port, 'netns', sw)
      this.#ip('-n', sw, 'link', 'set', port, 'master', 'br0', 'up')
      this.#ip('-n', netns, 'link', 'set', 'eth0', 'up')
    }
    this.#ip('-n', server, 'addr', 'add', '10.3.50.1/24', 'dev', 'eth0')
    this.#ip('-n', other, 'addr', 'add', '10.3.50.2/24', 'dev', 'eth0')
    // The server's way out, on which it must not be heard.
    this.#ip('-n', server, 'link', 'add', 'wlan0', 'type', 'bridge')
    this.#ip('-n', server, 'addr', 'add', '192.0.2.7/24', 'dev', 'wlan0')
    this.#ip('-n', server, 'link', 'set', 'wlan0', 'up')
    this.#ip('-n', pi, 'route', 'add', '255.255.255.255', 'dev', 'eth0')
  }

  #ip(...args: (string | undefined)[]): void {
    const words = args.filter((word) => word !== undefined)
    const ran = run('ip', words)
    if (ran.status !== 0) throw new Error(`ip ${words.join(' ')}: ${ran.stderr}`)
  }

  netns(name: string): string {
    return `${this.#name}-${name}`
  }

  /** Run a program to its end in the network of `server`, `other` or `pi`. */
  inside(name: string, command: string, args: readonly string[]): Ran {
    return run('nsenter', [`--net=/run/netns/${this.netns(name)}`, command, ...args])
  }

  /** Start dnsmasq as Debian's unit does: with everything in /etc/dnsmasq.d. */
  async startDnsmasq(): Promise<ChildProcess> {
    const log = join(this.prefix, 'var/log/piimage-netroot.log')
    const child = this.#start('server', [
      'unshare',
      '--mount',
      'sh',
      '-c',
      AS_SERVER,
      'sh',
      this.prefix,
      'dnsmasq',
      '-k',
      '--pid-file=',
      '-C',
      '/dev/null',
      '-7',
      '/etc/dnsmasq.d,.dpkg-dist,.dpkg-old,.dpkg-new',
    ])
    await this.#until(child, () => existsSync(log) && / started, version /.test(readFileSync(log, 'utf8')))
    return child
  }

  /** Somebody else's DHCP server, at 10.3.50.2. */
  async startOtherDhcp(): Promise<void> {
    const log = join(this.prefix, 'var/log/other.log')
    const child = this.#start('other', [
      'dnsmasq',
      '-k',
      '-C',
      '/dev/null',
      '--pid-file=',
      '--port=0',
      '--interface=eth0',
      '--no-ping',
      `--dhcp-leasefile=${this.prefix}/var/other.leases`,
      '--dhcp-range=10.3.50.100,10.3.50.150,1h',
      `--log-facility=${log}`,
    ])
    await this.#until(child, () => existsSync(log) && readFileSync(log, 'utf8').includes('10.3.50.100'))
  }

  /** A program with a UDP port of all addresses. */
  async listen(name: string, port: number): Promise<void> {
    const program = `require('dgram').createSocket('udp4').bind(${port}, '0.0.0.0')`
    const child = this.#start(name, [process.execPath, '-e', program])
    const isHeard = () => this.inside(name, 'ss', ['-H', '-l', '-n', '-u']).stdout.includes(`:${port} `)
    await this.#until(child, isHeard)
  }

  /** Programs that run in the network of `server`, `other` or `pi`. */
  runner(name: string): RunProgram {
    return (program, args, options) =>
      runProgram('nsenter', [`--net=/run/netns/${this.netns(name)}`, program, ...args], options)
  }

  #start(name: string, words: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=/run/netns/${this.netns(name)}`, ...words], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    this.#running.add(child)
    return child
  }

  async #until(child: ChildProcess, isReady: () => boolean): Promise<void> {
    for (let tries = 0; tries < 600; tries += 1) {
      if (child.exitCode !== null) throw new Error(`the server ended with status ${child.exitCode}`)
      if (isReady()) return
      await sleep(50)
    }
    throw new Error('the server is not ready after 30 s')
  }

  /** What dnsmasq said. */
  log(): string {
    return readFileSync(join(this.prefix, 'var/log/piimage-netroot.log'), 'utf8')
  }

  /** All offers to a board. */
  ask(question: Question): Offer[] {
    const ran = this.inside('pi', process.execPath, [board, JSON.stringify(question)])
    if (ran.status !== 0) throw new Error(ran.stderr)
    return JSON.parse(ran.stdout)
  }

  /** The board's network from now on. */
  setBoard({ mac, ip }: { mac: string; ip: string }): void {
    const pi = this.netns('pi')
    this.#ip('-n', pi, 'link', 'set', 'eth0', 'address', mac)
    this.#ip('-n', pi, 'addr', 'flush', 'dev', 'eth0')
    this.#ip('-n', pi, 'addr', 'add', `${ip}/24`, 'dev', 'eth0')
  }

  /** @returns undefined when the server says no */
  fetch(name: string): string | undefined {
    const ran = this.inside('pi', 'busybox', ['tftp', '-g', '-r', name, '-l', '-', '10.3.50.1'])
    return ran.status === 0 ? ran.stdout : undefined
  }

  close(): void {
    for (const child of this.#running) child.kill('SIGKILL')
    for (const name of ['server', 'other', 'pi', 'sw']) run('ip', ['netns', 'del', this.netns(name)])
  }
}
