/**
 * One card's boot from the boot ROM to the first process, over the card's own
 * FAT and root, for one board: whatever would stop or spoil it, each with its
 * file and the next thing to do. Nothing is started and nothing written.
 */
import { parseCmdline } from '../../boot/cmdline-txt.ts'
import { boards } from '../../cluster/boards.ts'
import type { Model } from '../../cluster/node.ts'
import { AUTOBOOT, readAutoboot } from '../../disk/autoboot.ts'
import type { BlockReader } from '../../disk/blocks.ts'
import { Ext4Volume } from '../../disk/ext4/volume.ts'
import { FatVolume } from '../../disk/fat/volume.ts'
import { FormatError } from '../../errors.ts'
import { type BootFolder, listingOf } from '../../firmware/boot-selection.ts'
import { openRootFacts } from '../../root/root-facts.ts'
import { rootFilesOf } from '../../root/root-files.ts'
import type { BootSource } from '../boot-source.ts'
import { type Fault, Findings, type Note } from '../fault.ts'
import { type LoadedSystem, loadSystem } from '../firmware/load-system.ts'
import { type Loading, loadFirmware } from '../firmware/loaders.ts'
import { openRequests } from '../firmware/requests.ts'
import { judgeKernel } from '../system/judge-kernel.ts'
import { judgeInit } from '../system/judge-root.ts'
import { readKernelImage } from '../system/kernel-image.ts'
import { bootFolderOf, type CardPartition, findRoot, readCardPartitions, type SharedFiles } from './card.ts'
import { checkFirstBoot } from './first-boot.ts'
import { rootTreeOf } from './root-tree.ts'

export interface CardCheck {
  model: Model
  /** In the order in which they would be met. */
  faults: Fault[]
  notes: Note[]
  /** There is no system on it that could be judged: a demonstration, or a data card. */
  empty: boolean
}

export interface CardToCheck {
  /** The whole card, with what is to be written laid over. */
  image: BlockReader
  model: Model
  /** Hex digits; undefined: not known. */
  serial?: string
  /** Kept between the cards of one image. */
  shared?: SharedFiles
}

export type { SharedFiles } from './card.ts'

const ROM_FILE = 'bootcode.bin'

const AGAIN = 'Write the card again from a whole image.'

/** What the board would start, besides what is wrong with it. */
export interface CardWalk extends CardCheck {
  /** undefined: it stops before. */
  system?: LoadedSystem
  /** The root that its command line names; undefined: none that is read here. */
  root?: Ext4Volume
}

/** @throws {FormatError} no partition table */
export async function checkCard(card: CardToCheck): Promise<CardCheck> {
  const { model, faults, notes, empty } = await walkCard(card)
  return { model, faults, notes, empty }
}

/** @throws {FormatError} no partition table */
export async function walkCard({ image, model, serial, shared }: CardToCheck): Promise<CardWalk> {
  const findings = new Findings()
  const partitions = await readCardPartitions(image, shared)
  const done = (empty = false): CardCheck => ({
    ...{ model, faults: empty ? [] : findings.faults, notes: findings.notes, empty },
  })
  const first = partitions.find(({ volume }) => volume instanceof FatVolume)
  if (first === undefined) {
    findings.fault(
      'firmware',
      'partition table',
      'no partition with a FAT: no board finds its firmware',
      AGAIN,
    )
    return done(partitions.every(({ volume }) => volume === undefined))
  }
  const chosen = await followAutoboot(first, partitions, findings)
  if (chosen === undefined) return done()
  const boot = bootFolderOf(chosen.volume as FatVolume, shared)
  const source = sourceOf(boot, bootFolderOf(first.volume as FatVolume, shared))
  const board = boards[model]
  const loadingInto = (into: Findings): Loading => {
    const requests = openRequests(source, into, false, AGAIN)
    return {
      ...{ board, serial: serial?.slice(-8) ?? '', requests, findings: into },
      ...{ card: true, partition: chosen.index },
    }
  }
  if (await isEmpty(loadingInto(new Findings()), model, partitions)) {
    findings.note('the card', 'not bootable: it has no kernel and no system, as a demonstration has none')
    return done(true)
  }
  // Without any firmware it is started by something else than a board, whose firmware is not looked for.
  const withFirmware = await hasFirmware(boot)
  if (!withFirmware)
    findings.note('the card', 'no firmware of a Raspberry Pi: it is started by something else')
  const loading = loadingInto(findings)
  const settings = await loadFirmware(withFirmware ? loading : lenient(loading))
  if (settings === undefined) return done()
  const system = await loadSystem(loading, settings, model)
  const cmdline = system.cmdline === undefined ? undefined : readCmdline(system.cmdline.bytes)
  const root =
    cmdline === undefined ? undefined : findRootVolume(cmdline.tokens, system, partitions, findings)
  checkCmdline(system, cmdline, findings)
  checkBits(system, model, findings)
  if (root !== undefined) await checkRoot(root, system, cmdline?.tokens ?? [], model, findings)
  else await checkKernelAlone(system, findings)
  await checkFirstBoot({
    ...{ boot, findings, tokens: cmdline?.tokens ?? [], place: system.cmdline?.name ?? 'cmdline.txt' },
    facts: root === undefined ? undefined : openRootFacts(rootFilesOf(root)),
  })
  return { ...done(), system, root }
}

/** The FAT that autoboot.txt leads to, which is mostly the one it lies on. */
async function followAutoboot(
  first: CardPartition,
  partitions: readonly CardPartition[],
  findings: Findings,
): Promise<CardPartition | undefined> {
  const text = await bootFolderOf(first.volume as FatVolume).read(AUTOBOOT)
  const { partition } = text === undefined ? {} : readAutoboot(text)
  if (partition === undefined || partition === first.index) return first
  const there = partitions.find(({ index }) => index === partition)
  if (there?.volume instanceof FatVolume) return there
  findings.fault(
    'firmware',
    AUTOBOOT,
    `boot_partition=${partition}, and ${there === undefined ? 'there is no such partition' : `partition ${partition} has no FAT`}`,
    'Correct boot_partition= in autoboot.txt.',
  )
  return undefined
}

/** @param first the partition that the boot ROM knows: it loads bootcode.bin from there, whatever autoboot.txt says */
function sourceOf(boot: BootFolder, first: BootFolder): BootSource {
  const inBoot = listingOf(boot)
  const inFirst = listingOf(first)
  const has = (path: string) => (path === ROM_FILE ? inFirst : inBoot)(path)
  const plain = (path: string) => path.replaceAll(/\/+/g, '/').replace(/^\//, '')
  const read = new Map<string, Promise<Uint8Array | undefined>>()
  const once = (path: string) => {
    const bytes = read.get(path) ?? (path === ROM_FILE ? first : boot).read(path)
    read.set(path, bytes)
    return bytes
  }
  return {
    placeOf: plain,
    async ask(path, how) {
      if (!(await has(plain(path)))) return { kind: 'missing' }
      try {
        const bytes = how === 'probe' ? new Uint8Array() : await once(plain(path))
        return bytes === undefined ? { kind: 'missing' } : { kind: 'file', bytes }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        return { kind: 'refused', message: error.message }
      }
    },
  }
}

/** Files of the firmware that asks for them is made of; any of them shows that a board is to be started. */
async function hasFirmware(boot: BootFolder): Promise<boolean> {
  return (await boot.list('')).some(({ name }) => /^(bootcode\.bin|(start|fixup)\w*\.(elf|dat))$/i.test(name))
}

/** A file that isn't there doesn't stop it. */
function lenient(loading: Loading): Loading {
  const { may } = loading.requests
  const must = async (name: string) => (await may(name)) ?? new Uint8Array(1)
  return { ...loading, requests: { ...loading.requests, must } }
}

const readCmdline = (bytes: Uint8Array) => {
  const text = Buffer.from(bytes).toString('latin1')
  try {
    return { text, tokens: parseCmdline(text) }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { text, tokens: [], problem: error.message }
  }
}

const parameter = (tokens: readonly string[], key: string): string | undefined =>
  tokens.findLast((token) => token.startsWith(`${key}=`))?.slice(key.length + 1)

function findRootVolume(
  tokens: readonly string[],
  system: LoadedSystem,
  partitions: readonly CardPartition[],
  findings: Findings,
): Ext4Volume | undefined {
  const place = system.cmdline?.name ?? 'cmdline.txt'
  const value = parameter(tokens, 'root')
  if (value === undefined) return undefined
  const found = findRoot(value, partitions)
  if (found === 'elsewhere') {
    findings.note(place, `root=${value} is not on this card: what lies there was not looked at`)
    return undefined
  }
  if (found === undefined) {
    const known = partitions.map(({ partUuid }) => partUuid).join(', ')
    findings.fault(
      'root',
      place,
      `root=${value} names no partition of this card, which has ${known}`,
      'The kernel would wait for it for ever. Correct root=, or write the card again.',
    )
    return undefined
  }
  const partition = `partition ${found.index}`
  if (found.problem !== undefined) findings.fault('root', partition, found.problem, AGAIN)
  else if (found.volume === undefined)
    findings.note(partition, "its file system can't be read here: the root was not checked")
  else if (found.volume instanceof FatVolume)
    findings.fault(
      'root',
      place,
      `root=${value} is ${partition}, a FAT`,
      'Correct root=: the system lies elsewhere.',
    )
  const type = parameter(tokens, 'rootfstype')
  if (found.volume instanceof Ext4Volume && type !== undefined && !/^ext[234](,|$)/.test(type))
    findings.fault(
      'root',
      place,
      `rootfstype=${type}, and ${partition} holds ext4: the kernel does not mount it`,
      'Write rootfstype=ext4.',
    )
  return found.volume instanceof Ext4Volume ? found.volume : undefined
}

/** Neither a kernel nor a system: nothing that anybody would want to start. */
async function isEmpty(
  loading: Loading,
  model: Model,
  partitions: readonly CardPartition[],
): Promise<boolean> {
  const settings = await loadFirmware(lenient(loading))
  if (settings === undefined) return false
  const system = await loadSystem(loading, settings, model)
  const tokens = system.cmdline === undefined ? [] : readCmdline(system.cmdline.bytes).tokens
  const root = findRootVolume(tokens, system, partitions, loading.findings)
  const { kernel } = system
  if (kernel !== undefined && readKernelImage(kernel.bytes).arch !== undefined) return false
  // A line that the board doesn't find names no root, and there may be one all the same.
  const roots = system.cmdline === undefined ? partitions.map(({ volume }) => volume) : [root]
  for (const volume of roots) if (volume instanceof Ext4Volume && (await holdsSystem(volume))) return false
  return true
}

async function holdsSystem(volume: Ext4Volume): Promise<boolean> {
  try {
    const files = rootFilesOf(volume)
    return (await files.list('/lib')).length > 0 || (await files.has('/sbin/init'))
  } catch (error) {
    if (error instanceof FormatError) return true
    throw error
  }
}

function checkCmdline(
  system: LoadedSystem,
  cmdline: { text: string; tokens: readonly string[]; problem?: string } | undefined,
  findings: Findings,
): void {
  if (cmdline === undefined) return
  const place = system.cmdline?.name ?? 'cmdline.txt'
  const [line = '', ...more] = cmdline.text.replace(/\n$/, '').split('\n')
  if (cmdline.problem !== undefined) findings.fault('cmdline', place, cmdline.problem, 'Close the quote.')
  if (more.some((other) => other.trim() !== ''))
    findings.fault(
      'cmdline',
      place,
      `it has ${more.length + 1} lines, and only the first counts`,
      'Make it one line.',
    )
  if (line.includes('\r'))
    findings.fault(
      'cmdline',
      place,
      'a carriage return becomes part of its last parameter',
      'Write it with LF only.',
    )
  if (cmdline.problem === undefined && parameter(cmdline.tokens, 'root') === undefined)
    findings.fault('cmdline', place, 'no root=: the kernel panics', AGAIN)
}

/** A kernel of a name the firmware doesn't know is started in the mode that arm_64bit says. */
function checkBits({ kernel, settings }: LoadedSystem, model: Model, findings: Findings): void {
  if (kernel === undefined) return
  const { arch } = readKernelImage(kernel.bytes)
  const { default64, loader, kernels } = boards[model]
  const base = kernel.name.slice(kernel.name.lastIndexOf('/') + 1)
  const said = settings.get('arm_64bit')
  const bits64 = said === undefined ? default64 : said !== '0'
  if (arch === 'arm' && loader === 'direct')
    findings.fault(
      'kernel',
      kernel.name,
      `a 32-bit kernel, and a ${boards[model].title} starts only 64-bit ones`,
      'Take a 64-bit image for this node.',
    )
  else if (arch === 'arm64' && !bits64 && !kernels.bits64.includes(base) && !kernels.bits32.includes(base))
    findings.fault(
      'kernel',
      'config.txt',
      `kernel=${base} is a 64-bit kernel, and without arm_64bit=1 the firmware starts it in 32-bit mode`,
      'Add arm_64bit=1.',
    )
}

async function checkKernelAlone({ kernel }: LoadedSystem, findings: Findings): Promise<void> {
  const problem = kernel === undefined ? undefined : readKernelImage(kernel.bytes).problem
  if (kernel !== undefined && problem !== undefined)
    findings.fault('kernel', kernel.name, `the kernel is not whole: ${problem}`, AGAIN)
}

async function checkRoot(
  volume: Ext4Volume,
  system: LoadedSystem,
  tokens: readonly string[],
  model: Model,
  findings: Findings,
): Promise<void> {
  const root = rootTreeOf(volume)
  try {
    const kernel = await judgeKernel(system, {
      ...{ model, root, findings, again: AGAIN, modules: [], placeOf: (name: string) => name },
    })
    // One of init= works on the first boots only; the system's own comes after it.
    for (const init of new Set([parameter(tokens, 'init') ?? '/sbin/init', '/sbin/init']))
      await judgeInit(root, kernel, init, findings, AGAIN)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    findings.fault('root', 'the root file system', error.message, error.hint ?? AGAIN)
  }
}
