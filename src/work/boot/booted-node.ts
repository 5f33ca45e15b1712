/** One guest of a run: its card, its power, what it says, and what it answers. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mergeRanges } from '../../disk/blocks.ts'
import { copyCard } from '../../emulator/card-copy.ts'
import { ConsoleLines, failedUnit, readConsoleLine } from '../../emulator/console.ts'
import { Guest } from '../../emulator/guest.ts'
import { chooseMachine, commandLineOn, type MachineChoice } from '../../emulator/machines.ts'
import { QEMU, qemuArguments } from '../../emulator/qemu.ts'
import { NetrootError } from '../../errors.ts'
import { openFileReader } from '../../io/file-reader.ts'
import { type CardWalk, walkCard } from '../../rehearsal/card/check-card.ts'
import { readKernelImage } from '../../rehearsal/system/kernel-image.ts'
import { readRootText, rootFilesOf } from '../../root/root-files.ts'
import type { Caller } from '../caller.ts'
import type { BootVerdict } from '../events.ts'
import { type NodeSsh, sshBy } from '../node-ssh.ts'
import { askNode, hasFinished } from '../node-status.ts'
import { askChecks, type Check, whyNotIn } from './checks.ts'
import { type Login, prepareLogin } from './login.ts'
import type { BootRequest } from './request.ts'
import type { Subject } from './subject.ts'
import type { Wiring } from './wiring.ts'

export interface Run {
  folder: string
  /** Its place among the guests. */
  index: number
  /** Names of QEMU's machines. */
  machines: readonly string[]
  wiring: Wiring
  request: BootRequest
}

/** An emulated processor takes its time for keys. */
const CONNECT_SECONDS = 60
/** Once the first boot is done; sshd is up long before. */
const LOGIN_MS = 300_000

export class BootedNode {
  readonly name: string
  /** Opens it, for a person; undefined: nobody can log in. */
  ssh: string | undefined
  readonly #subject: Subject
  readonly #run: Run
  readonly #caller: Caller
  readonly #folder: string
  #guest: Guest | undefined
  #poweredOn = 0
  /** What the console said that it is over with. */
  #fault: string | undefined
  #isUp = false
  #firstBootDone = false
  #retries = 0
  #failedUnit: string | undefined
  #told = new Set<string>()

  constructor(subject: Subject, run: Run, caller: Caller) {
    this.name = subject.name
    this.#subject = subject
    this.#run = run
    this.#caller = caller
    this.#folder = join(run.folder, String(run.index))
  }

  /** Start it, and judge. @throws nothing but interruptions and bugs */
  async verdict(deadlineMs: number): Promise<BootVerdict> {
    const checks: Check[] = []
    let problem: string | undefined
    try {
      await this.#judge(checks, deadlineMs)
    } catch (error) {
      this.#caller.signal.throwIfAborted()
      if (!(error instanceof NetrootError)) throw error
      problem = error.message
    }
    const bad = checks.find(({ ok }) => !ok)
    problem ??= bad && `${bad.what}: ${bad.found}`
    return {
      node: this.name,
      ok: problem === undefined,
      ...{ seconds: this.#seconds(), boots: this.#guest?.boots ?? 0, checks, problem },
    }
  }

  /** Whether the nodes that it may wait for are started, too. */
  get #isWhole(): boolean {
    return this.#run.request.all === true
  }

  async kill(): Promise<void> {
    await this.#guest?.kill()
  }

  async #judge(checks: Check[], deadlineMs: number): Promise<void> {
    const { image, used, expected, model, serial } = this.#subject
    const { signal, onEvent } = this.#caller
    await mkdir(this.#folder)
    const found = await walkCard({ image, model, serial })
    const choice = chooseMachine(model, await kernelOf(found), this.#run.machines)
    onEvent({ event: 'boot-start', node: this.name, model, machine: choice.machine, why: choice.why })
    const login = await prepareLogin(expected, image, this.#folder, signal)
    const card = join(this.#folder, 'card.img')
    await copyCard(image, mergeRanges([...used, ...image.ranges()]), card, signal)
    const ask = await this.#openSsh(login)
    const guest = new Guest({
      firmware: () => this.#firmware(card, choice),
      onConsole: this.#listen(),
    })
    this.#guest = guest
    this.#poweredOn = performance.now()
    guest.start()
    const isOver = () => {
      if (this.#fault !== undefined) throw new NetrootError(this.#fault)
      return this.#firstBootDone || (this.#isUp && !expected.firstBoot)
    }
    let lastAsked = performance.now()
    const up = async () => {
      if (isOver()) return true
      // One that was up before says nothing of a first boot any more.
      if (!this.#isUp || ask === undefined || performance.now() - lastAsked < CONNECT_SECONDS * 1000)
        return false
      lastAsked = performance.now()
      return hasFinished((await askNode(ask, this.name)).status)
    }
    await guest.until(expected.firstBoot ? 'first boot done' : 'a login prompt', up, { deadlineMs, signal })
    checks.push({ what: 'started', ok: true, found: choice.machine })
    if (ask === undefined) return
    await this.#logIn(guest, ask, checks)
    checks.push(...(await askChecks(ask, this.name, expected, this.#isWhole)))
  }

  /** Strict checking: who gets in has met the derived host key at the node's address. */
  async #logIn(guest: Guest, ask: NodeSsh, checks: Check[]): Promise<void> {
    const { signal } = this.#caller
    const { hostKey } = this.#subject.expected
    let last: ReturnType<typeof whyNotIn>
    const isIn = async () => {
      if (this.#fault !== undefined) throw new NetrootError(this.#fault)
      last = whyNotIn(await ask.run(this.name, 'true'))
      if (last?.what === 'host key' || last?.what === 'login')
        throw new NetrootError(`${last.what}: ${last.found}`)
      return last === undefined
    }
    await guest.until('a login by ssh', isIn, { deadlineMs: LOGIN_MS, signal }).catch((error) => {
      if (last !== undefined && error instanceof NetrootError && !error.message.startsWith(last.what))
        throw new NetrootError(`nobody can log in by ssh: ${last.found}`)
      throw error
    })
    if (hostKey !== undefined) checks.push({ what: 'host key', ok: true, found: 'the derived one' })
    checks.push({ what: 'login', ok: true, found: 'by key' })
  }

  async #openSsh(login: Login | undefined): Promise<NodeSsh | undefined> {
    if (login === undefined) return undefined
    const { hostKey } = this.#subject.expected
    const port = this.#run.wiring.ports[this.#run.index]
    const known = join(this.#folder, 'known_hosts')
    await writeFile(known, hostKey === undefined ? '' : `node ${hostKey}\n`)
    const lines = [
      `Host ${this.name}`,
      '  HostName 127.0.0.1',
      `  Port ${port}`,
      `  User ${login.user}`,
      `  IdentityFile "${login.identity}"`,
      '  IdentitiesOnly yes',
      '  HostKeyAlias node',
      `  UserKnownHostsFile "${known}"`,
      '  GlobalKnownHostsFile /dev/null',
      `  StrictHostKeyChecking ${hostKey === undefined ? 'no' : 'yes'}`,
    ]
    const config = join(this.#folder, 'ssh_config')
    await writeFile(config, `${lines.join('\n')}\n`)
    this.ssh = `ssh -F ${config} ${this.name}`
    return { run: sshBy(config, this.#caller.signal, CONNECT_SECONDS), close: async () => {} }
  }

  /** What the board's firmware finds on the card now, as files beside it. @returns program and arguments */
  async #firmware(card: string, choice: MachineChoice): Promise<string[]> {
    const { model, serial } = this.#subject
    const { index, wiring } = this.#run
    const reader = await openFileReader(card)
    try {
      const { system, faults } = await walkCard({ image: reader, model, serial })
      if (system?.kernel === undefined)
        throw new NetrootError(`nothing is found to start: ${faults[0]?.place}: ${faults[0]?.problem}`)
      const put = async (name: string, bytes: Uint8Array | undefined) => {
        if (bytes === undefined || bytes.length === 0) return undefined
        await writeFile(join(this.#folder, name), bytes)
        return join(this.#folder, name)
      }
      const [line = ''] = Buffer.from(system.cmdline?.bytes ?? [])
        .toString('latin1')
        .split('\n')
      return [
        QEMU,
        ...qemuArguments({
          ...{ choice, card, network: wiring.cardOf(index, choice.machine) },
          kernel: (await put('kernel', system.kernel.bytes)) as string,
          initramfs: await put('initramfs', Buffer.concat(system.initramfs.map(({ bytes }) => bytes))),
          deviceTree: choice.needsTree ? await put('tree.dtb', system.deviceTree?.bytes) : undefined,
          commandLine: commandLineOn(choice.machine, line),
        }),
      ]
    } finally {
      await reader.close()
    }
  }

  #listen(): (text: string) => void {
    const { onEvent } = this.#caller
    const lines = new ConsoleLines((line) => {
      if (this.#run.request.console === true) onEvent({ event: 'console', node: this.name, line })
      this.#failedUnit ??= failedUnit(line)
      const { step, fault, prompt, firstBoot } = readConsoleLine(line)
      if (step !== undefined && !this.#told.has(step)) {
        this.#told.add(step)
        onEvent({ event: 'boot-step', node: this.name, seconds: this.#seconds(), step })
      }
      // What comes after a restart is told again.
      if (step === 'restarts') this.#told.clear()
      this.#isUp ||= prompt === true
      if (firstBoot !== undefined) this.#hearFirstBoot(firstBoot)
      if (fault !== undefined) this.#fault ??= this.#because(fault)
    })
    return (text) => lines.write(text)
  }

  #hearFirstBoot({ step, state, detail }: { step: string; state: string; detail: string }): void {
    this.#firstBootDone ||= step === 'firstboot' && state === 'done'
    // For a node that is not started here: it would be looked for for ever.
    this.#firstBootDone ||= state === 'waiting' && !this.#isWhole
    if (state !== 'retrying' || this.#run.request.net === true) return
    this.#retries += 1
    // Nothing outside can be had, and it would be tried for hours.
    if (this.#retries > 1) this.#fault ??= `${step}: ${detail} (does it need a way out? Then add --net)`
  }

  #because = (fault: string): string =>
    /systemd stops/.test(fault) && this.#failedUnit !== undefined ? `${fault}: ${this.#failedUnit}` : fault

  #seconds = (): number =>
    this.#poweredOn === 0 ? 0 : Math.round((performance.now() - this.#poweredOn) / 1000)
}

/** Of the card's kernel, what decides where it starts. */
async function kernelOf({ system, root }: CardWalk): Promise<Parameters<typeof chooseMachine>[1]> {
  const { arch, release } = system?.kernel === undefined ? {} : readKernelImage(system.kernel.bytes)
  if (root === undefined || release === undefined) return { arch, hasVirtio: undefined }
  const files = rootFilesOf(root)
  const texts = ['modules.builtin', 'modules.dep'].map((name) =>
    readRootText(files, `/lib/modules/${release}/${name}`),
  )
  const known = (await Promise.all(texts)).join('\n')
  const hasVirtio =
    known.trim() === '' ? undefined : /virtio_blk\.ko/.test(known) && /virtio_net\.ko/.test(known)
  return { arch, hasVirtio }
}
