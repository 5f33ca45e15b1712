/**
 * A Raspberry Pi that boots a card, played by QEMU's `virt` machine.
 *
 * The part of the Pi's firmware is played here: kernel8.img, initramfs8 and
 * cmdline.txt are read out of the card's FAT with mtools, which share no code
 * with piimage, and handed to QEMU with the FAT's own command line. When the
 * guest reboots, QEMU ends (-no-reboot) and is started again with what the
 * card's cmdline.txt says *then*: so a first-boot trigger that was not taken
 * out is seen to run again.
 *
 * No root is needed: the network is QEMU's own (user mode), in which the guest
 * has its static address, and one port of 127.0.0.1 leads to the guest's ssh.
 *
 * Everything is emulated: a boot takes one to two minutes on two quiet cores.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../support/tools.ts'

export interface CardToBoot {
  /** Path of the card: a file or a loop device. */
  card: string
  /** A folder for the kernel, the console log, known_hosts; kept by the caller. */
  folder: string
  /** The node's static address, dotted quad, in a /24. */
  address: string
  user: string
  /** Private key whose public half the card's user accepts. */
  identity: string
  /** `ssh-ed25519 AAAA…`: the only host key that is accepted. */
  hostKey: string
}

export interface Ran {
  status: number
  stdout: string
  stderr: string
}

export interface BootedCard {
  /** Run a command on the node, by its own login. */
  ssh(command: string): Promise<Ran>
  /** All that the serial console said so far, over all boots. */
  console(): string
  /** Command lines the kernel was started with, one per boot. */
  readonly commandLines: readonly string[]
  /** Switch the node off in the ordinary way, and wait until it is. */
  shutdown(): Promise<void>
  /** Start it again after a shutdown. */
  start(): Promise<void>
  /** Cut the power. */
  kill(): void
}

const SECTOR = 512

/** Byte offset of the first partition: where the firmware looks for its files. */
function bootPartitionOffset(card: string): number {
  const sector = Buffer.alloc(SECTOR)
  const file = openSync(card, 'r')
  try {
    readSync(file, sector, 0, SECTOR, 0)
  } finally {
    closeSync(file)
  }
  if (sector.readUInt16LE(510) !== 0xaa55) throw new Error(`${card}: no partition table, so no boot`)
  return sector.readUInt32LE(446 + 8) * SECTOR
}

/** What the firmware does: files from the FAT, and the first line of cmdline.txt. */
function loadFromCard(card: string, folder: string): string {
  const image = `${card}@@${bootPartitionOffset(card)}`
  const names = ['kernel8.img', 'initramfs8', 'cmdline.txt']
  const copied = run('mcopy', ['-o', '-n', '-i', image, ...names.map((name) => `::${name}`), folder], {
    env: { MTOOLS_SKIP_CHECK: '1' },
  })
  if (copied.status !== 0) throw new Error(`${card}: ${copied.stderr.trim()}`)
  const line = readFileSync(join(folder, 'cmdline.txt'), 'latin1').split(/\r?\n/, 1)[0] ?? ''
  const console_ = line.replaceAll('serial0', 'ttyAMA0').replace(/console=tty1 ?/, '')
  // A busy machine needs longer than udev's 90 s; names of interfaces as on a Pi.
  return `${console_} systemd.default_device_timeout_sec=900 net.ifnames=0`
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no TCP port')
  return address.port
}

function qemuArguments({ card, folder, address }: CardToBoot, commandLine: string, port: number): string[] {
  const net = address.replace(/\.\d+$/, '')
  const user = `user,id=n0,net=${net}.0/24,host=${net}.254,dns=${net}.253,hostfwd=tcp:127.0.0.1:${port}-${address}:22`
  return [
    ...['-M', 'virt', '-cpu', process.env.PIIMAGE_QEMU_CPU ?? 'cortex-a72', '-smp', '2', '-m', '1024'],
    ...['-accel', 'tcg,thread=multi'],
    ...['-drive', `if=none,id=d0,file=${card},format=raw,cache=unsafe`, '-device', 'virtio-blk-pci,drive=d0'],
    ...['-netdev', user, '-device', 'virtio-net-pci,netdev=n0,romfile=', '-device', 'virtio-rng-pci'],
    ...['-kernel', join(folder, 'kernel8.img'), '-initrd', join(folder, 'initramfs8')],
    ...['-append', commandLine, '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
  ]
}

class Machine implements BootedCard {
  readonly commandLines: string[] = []
  readonly #card: CardToBoot
  readonly #port: number
  readonly #log: string
  #qemu: ChildProcess | undefined
  #stopping = false
  #off: Promise<void> = Promise.resolve()

  constructor(card: CardToBoot, port: number) {
    this.#card = card
    this.#port = port
    this.#log = join(card.folder, 'console.log')
    writeFileSync(this.#log, '')
    writeFileSync(join(card.folder, 'known_hosts'), `node ${card.hostKey}\n`)
  }

  console(): string {
    return readFileSync(this.#log, 'utf8')
  }

  async start(): Promise<void> {
    this.#stopping = false
    this.#off = this.#powered()
    // A rejection is reported by whoever waits; until then it must not end the process.
    this.#off.catch(() => {})
  }

  /** One QEMU after another until the guest powers off. */
  async #powered(): Promise<void> {
    for (let boots = 1; ; boots++) {
      const commandLine = loadFromCard(this.#card.card, this.#card.folder)
      this.commandLines.push(commandLine)
      const qemu = spawn('qemu-system-aarch64', qemuArguments(this.#card, commandLine, this.#port), {
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      this.#qemu = qemu
      // A test runner that gives up must not leave a machine running.
      const killQemu = () => qemu.kill('SIGKILL')
      process.once('exit', killQemu)
      let last = ''
      qemu.stdout?.on('data', (data: Buffer) => {
        appendFileSync(this.#log, data)
        last = (last + data.toString('latin1')).slice(-4000)
      })
      qemu.stderr?.on('data', (data: Buffer) => appendFileSync(this.#log, `qemu: ${data.toString()}`))
      const [code] = (await once(qemu, 'close')) as [number | null]
      process.removeListener('exit', killQemu)
      this.#qemu = undefined
      if (this.#stopping || last.includes('reboot: Power down')) return
      if (code !== 0 || !last.includes('reboot: Restarting system')) {
        throw new Error(`the node stopped without shutting down:\n${last.slice(-1500)}`)
      }
      if (boots === 5) throw new Error('the node restarted five times in a row')
    }
  }

  async ssh(command: string): Promise<Ran> {
    const { folder, identity, user } = this.#card
    const options = [
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      'HostKeyAlias=node',
      `UserKnownHostsFile=${join(folder, 'known_hosts')}`,
      'GlobalKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'ConnectTimeout=60',
    ].flatMap((option) => ['-o', option])
    const child = spawn(
      'ssh',
      [
        '-F',
        'none',
        '-q',
        ...options,
        '-i',
        identity,
        '-p',
        String(this.#port),
        `${user}@127.0.0.1`,
        command,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
    const [status] = (await once(child, 'close')) as [number | null]
    return { status: status ?? 255, stdout, stderr }
  }

  /** @throws {Error} the node went off meanwhile, or the time is over; with the console's last lines */
  async waitForSsh(deadlineMs: number): Promise<void> {
    let over: Error | undefined
    this.#off.then(
      () => (over = new Error('the node switched itself off')),
      (error: Error) => (over = error),
    )
    const end = Date.now() + deadlineMs
    // 255 is ssh's own failure; any other status came from the node.
    while ((await this.ssh('true')).status === 255) {
      if (over === undefined && Date.now() > end) over = new Error('no login by ssh')
      if (over !== undefined) {
        this.kill()
        throw new Error(`${over.message}\n${this.console().slice(-3000)}`)
      }
      await sleep(3000)
    }
  }

  async shutdown(): Promise<void> {
    await this.ssh('sudo -n systemctl --no-block poweroff')
    await this.#off
  }

  kill(): void {
    this.#stopping = true
    this.#qemu?.kill('SIGKILL')
  }
}

/**
 * Boot a card and wait until its user can log in by ssh.
 *
 * @param deadlineMs for the login, over all reboots of the first boot
 * @throws {Error} the card has nothing to boot, the node stopped, or nobody could log in
 */
export async function bootCard(card: CardToBoot, deadlineMs = 900_000): Promise<BootedCard> {
  const machine = new Machine(card, await freePort())
  await machine.start()
  await machine.waitForSsh(deadlineMs)
  return machine
}
