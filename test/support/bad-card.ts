/**
 * Cards with faults, as real block devices: nbdkit makes the fault, nbdfuse
 * shows its disk as a file, a loop device makes a drive of that file. Loop and
 * FUSE go past the page cache, or a wrapped read would look right.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { packageRoot } from '../../src/package-root.ts'
import { attachLoopDevice, detachLoopDevice, makeSparseFile } from './loop.ts'
import { needRoot, needTool, run } from './tools.ts'

export interface BadCard {
  /** The loop device. */
  path: string
  /** The bytes the card really has. */
  backing: string
  /** From now on, what `failingCard` was told to fail fails. */
  startFailing(): void
  /** Pull it out: from now on every request fails. */
  pull(): void
  /** Bytes of all writes so far; only of an `oddCard`. */
  bytesWritten(): number
}

/** What is wrong with a card (./bad-card.py). Offsets in bytes. */
export interface Oddity {
  /** It holds only so many bytes … */
  real?: number
  /** … and what lies beyond wraps around, is taken and lost, or is an error. */
  beyond?: 'wraps' | 'lost' | 'error'
  writeErrorAt?: number
  readErrorAt?: number
  /** The lowest bit of this byte is turned, by each write or each read of it. */
  flipWriteAt?: number
  flipReadAt?: number
  /** What is written here is dropped. */
  dead?: { from: number; end: number }
  /** How long each request takes, and each read where that is another time. */
  delayMs?: number
  readDelayMs?: number
}

/** A card with any of these faults. */
export const oddCard = (t: TestContext, bytes: number, odd: Oddity): Promise<BadCard | undefined> =>
  insert(t, bytes, odd.real ?? bytes, ({ backing, written }) => [
    ...(odd.delayMs === undefined && odd.readDelayMs === undefined ? [] : ['--filter=delay']),
    'python',
    join(packageRoot(), 'test/support/bad-card.py'),
    `file=${backing}`,
    `size=${bytes}`,
    `written=${written}`,
    ...setting('real', odd.real),
    ...setting('beyond', odd.beyond),
    ...setting('write_error', odd.writeErrorAt),
    ...setting('read_error', odd.readErrorAt),
    ...setting('flip_write', odd.flipWriteAt),
    ...setting('flip_read', odd.flipReadAt),
    ...setting('dead', odd.dead === undefined ? undefined : `${odd.dead.from}-${odd.dead.end}`),
    ...setting('rdelay', inMilliseconds(odd.readDelayMs ?? odd.delayMs)),
    ...setting('wdelay', inMilliseconds(odd.delayMs)),
  ])

const setting = (name: string, value: number | string | undefined): string[] =>
  value === undefined ? [] : [`${name}=${value}`]

const inMilliseconds = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : `${time}ms`

/** A card on which every `pread` or `pwrite` fails with EIO once `startFailing` was called. */
export const failingCard = (
  t: TestContext,
  bytes: number,
  request: 'pread' | 'pwrite',
): Promise<BadCard | undefined> =>
  insert(t, bytes, bytes, ({ backing, trigger }) => [
    '--filter=error',
    'file',
    backing,
    `error-${request}=EIO`,
    `error-${request}-rate=100%`,
    `error-file=${trigger}`,
  ])

/** A card that works until it is pulled. */
export const goodCard = (t: TestContext, bytes: number): Promise<BadCard | undefined> =>
  insert(t, bytes, bytes, ({ backing }) => ['file', backing])

/**
 * A card that claims `bytes` and has `realBytes`. What lies beyond
 * `wraps` around to the start, or is `lost`: taken without an error, read as zeroes.
 */
export const fakeCard = (
  t: TestContext,
  bytes: number,
  realBytes: number,
  beyond: 'wraps' | 'lost',
): Promise<BadCard | undefined> => {
  // Arguments of the scripts: $3 length, $4 offset.
  const wrap = `at=$(( $4 % ${realBytes} ))`
  const lost = beyond === 'lost' ? `[ $4 -lt ${realBytes} ] ||` : ':;'
  return insert(t, bytes, realBytes, ({ backing }) => [
    'eval',
    `get_size=echo ${bytes}`,
    'can_write=exit 0',
    'can_flush=exit 0',
    'flush=exit 0',
    `pread=${lost.replace('||', '|| { head -c $3 /dev/zero; exit; };')} ${wrap}; dd if=${backing} iflag=skip_bytes,count_bytes skip=$at count=$3 status=none`,
    `pwrite=${lost.replace('||', '|| { cat >/dev/null; exit; };')} ${wrap}; dd of=${backing} oflag=seek_bytes seek=$at conv=notrunc bs=1M iflag=fullblock status=none`,
  ])
}

interface Places {
  backing: string
  /** Exists once the card is to fail. */
  trigger: string
  /** What is written is counted here. */
  written: string
}

/** @returns undefined after the test was skipped for want of a tool */
async function insert(
  t: TestContext,
  bytes: number,
  realBytes: number,
  nbdkitArguments: (places: Places) => string[],
): Promise<BadCard | undefined> {
  const nbdkit = needTool(t, 'nbdkit', 'nbdkit')
  const nbdfuse = needTool(t, 'nbdfuse', 'libnbd-bin')
  const fusermount = needTool(t, 'fusermount3', 'fuse3')
  if (!needRoot(t) || !nbdkit || !nbdfuse || !fusermount) return undefined
  const needsPython = nbdkitArguments({ backing: '', trigger: '', written: '' }).includes('python')
  if (needsPython && !needNbdkitPython(t, nbdkit)) return undefined

  const folder = mkdtempSync(join(tmpdir(), 'piimage-bad-card-'))
  const backing = join(folder, 'backing')
  const trigger = join(folder, 'fail')
  const written = join(folder, 'written')
  const mountPoint = join(folder, 'disk')
  makeSparseFile(backing, realBytes)
  mkdirSync(mountPoint)
  const args = [join(mountPoint, 'nbd'), '[', nbdkit, ...nbdkitArguments({ backing, trigger, written }), ']']
  const server = spawn(nbdfuse, args, { stdio: 'ignore' })
  let loop: string | undefined
  t.after(async () => {
    if (loop !== undefined) detachLoopDevice(loop)
    run(fusermount, ['-u', '-z', mountPoint])
    await ended(server)
    rmSync(folder, { recursive: true, force: true })
  })
  await served(join(mountPoint, 'nbd'), bytes)
  loop = attachLoopDevice(join(mountPoint, 'nbd'))
  return {
    path: loop,
    backing,
    startFailing: () => writeFileSync(trigger, ''),
    pull: () => server.kill('SIGKILL'),
    bytesWritten: () => Number(readFileSync(written, 'utf8')),
  }
}

/** The plugin is a package of its own. */
function needNbdkitPython(t: TestContext, nbdkit: string): boolean {
  if (run(nbdkit, ['python', '--version']).status === 0) return true
  return needTool(t, 'nbdkit-python-plugin', 'nbdkit-plugin-python') !== undefined
}

/** Wait until the disk shows up. */
async function served(file: string, bytes: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (statSync(file, { throwIfNoEntry: false })?.size === bytes) return
    await sleep(50)
  }
  throw new Error(`nbdfuse did not show ${file}`)
}

async function ended(server: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 100 && server.exitCode === null && server.signalCode === null; tries += 1)
    await sleep(50)
  server.kill('SIGKILL')
}
