/**
 * A guest of the product's own (src/emulator/guest.ts) with a console log, and
 * ssh from wherever its network is.
 *
 * What the Pi's firmware does is the caller's: `firmware` leaves kernel8.img and
 * initramfs8 in the guest's folder and says the kernel's command line.
 *
 * Everything is emulated: a boot takes one to two minutes of a processor. It has
 * but one: what a boot does is seldom two things at once, and two guests are.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Guest as Power } from '../../src/emulator/guest.ts'
import { commandLineOn } from '../../src/emulator/machines.ts'
import { QEMU } from '../../src/emulator/qemu.ts'

/** Who may log in, and which host key is believed. */
export interface Login {
  user: string
  /** Private key whose public half the user accepts. */
  identity: string
  /** `ssh-ed25519 AAAA…`: the only host key that is accepted. */
  hostKey: string
}

export interface Board extends Login {
  /** A folder of the guest's own for the kernel, the console log, known_hosts; kept by the caller. */
  folder: string
  /** QEMU's arguments for drives and network. */
  devices: string[]
  firmware: () => string
  /** Where the guest's ssh is reached. */
  host: string
  port: number
  /** Network namespace in which QEMU runs, and from which ssh goes; default: our own. */
  netns?: string
}

export interface Ran {
  status: number
  stdout: string
  stderr: string
}

/** What the kernel must know on this board and not on a Pi. */
export const onThisBoard = (commandLine: string): string => commandLineOn('virt', commandLine)

/** Command and arguments, moved into a network namespace. */
export const inNetns = (netns: string | undefined, words: string[]): string[] =>
  netns === undefined ? words : ['nsenter', `--net=/run/netns/${netns}`, ...words]

function qemuCommand({ folder, devices, netns }: Board, commandLine: string): string[] {
  return inNetns(netns, [
    QEMU,
    ...['-M', 'virt', '-cpu', process.env.PIIMAGE_QEMU_CPU ?? 'cortex-a72', '-smp', '1'],
    ...['-m', '1024', '-accel', 'tcg,thread=multi', ...devices, '-device', 'virtio-rng-pci'],
    ...['-kernel', join(folder, 'kernel8.img'), '-initrd', join(folder, 'initramfs8')],
    ...['-append', commandLine, '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
  ])
}

export class Guest {
  /** Command lines the kernel was started with, one per boot. */
  readonly commandLines: string[] = []
  readonly #board: Board
  readonly #log: string
  readonly #power: Power

  /** The power is off. */
  constructor(board: Board) {
    this.#board = board
    mkdirSync(board.folder, { recursive: true })
    this.#log = join(board.folder, 'console.log')
    writeFileSync(this.#log, '')
    writeFileSync(join(board.folder, 'known_hosts'), `node ${board.hostKey}\n`)
    this.#power = new Power({
      firmware: () => {
        const commandLine = board.firmware()
        this.commandLines.push(commandLine)
        return qemuCommand(board, commandLine)
      },
      onConsole: (text) => appendFileSync(this.#log, text),
    })
  }

  /** All that the serial console said so far, over all boots. */
  console(): string {
    return readFileSync(this.#log, 'utf8')
  }

  /** Switch the power on. */
  start(): void {
    this.#power.start()
  }

  /** Run a command on the node, by its user's login. */
  async ssh(command: string): Promise<Ran> {
    const { folder, identity, user, host, port, netns } = this.#board
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      'HostKeyAlias=node',
      `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
      'GlobalKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'ConnectTimeout=60',
    ].flatMap((option) => ['-o', option])
    const where = ['-p', String(port), `${user}@${host}`]
    const [program = '', ...words] = inNetns(netns, [
      ...['ssh', '-F', 'none', '-q', ...options, '-i', identity],
      ...where,
      command,
    ])
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
    const [status] = (await once(child, 'close')) as [number | null]
    return { status: status ?? 255, stdout, stderr }
  }

  /**
   * Look again until something is so; the power goes off when it never is.
   *
   * @throws {Error} the node went off meanwhile, or the time is over; with the console's last lines
   */
  async until(what: string, deadlineMs: number, isSo: () => Promise<boolean>): Promise<void> {
    try {
      await this.#power.until(what, isSo, { deadlineMs, signal: new AbortController().signal })
    } catch (error) {
      this.kill()
      throw new Error(`${(error as Error).message}\n${this.console().slice(-3000)}`)
    }
  }

  /** Wait until the user can log in; 255 is ssh's own failure, any other status came from the node. */
  async waitForSsh(deadlineMs = 900_000): Promise<void> {
    await this.until('a login by ssh', deadlineMs, async () => (await this.ssh('true')).status !== 255)
  }

  /** Wait for words on the console; costs the node nothing. */
  async waitForConsole(words: RegExp, deadlineMs: number): Promise<void> {
    await this.until(`${words} on the console`, deadlineMs, async () => words.test(this.console()))
  }

  /** Switch the node off in the ordinary way, and wait until it is. */
  async shutdown(): Promise<void> {
    await this.ssh('sudo -n systemctl --no-block poweroff')
    await this.#power.off
  }

  /** Cut the power. */
  kill(): void {
    void this.#power.kill()
  }
}
