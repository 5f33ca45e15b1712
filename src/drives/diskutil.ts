/** macOS' own tools, by their full paths: under sudo or cron there may be no PATH that leads to them. */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { DriveError } from '../errors.ts'
import { type PlistValue, parsePlist } from './plist.ts'

const runFile = promisify(execFile)

const DISKUTIL = '/usr/sbin/diskutil'
const IOREG = '/usr/sbin/ioreg'
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024

/** Spotlight, fsck and virus scanners look at every card that is put in, and let go of it after a moment. */
const TRIES = 5
const PAUSE_MS = 1000
/** After the last program has let go of a card, macOS mounts it; before that an eject may come too early. */
const MOUNT_PAUSE_MS = 2000

/**
 * `diskutil VERB -plist ARGUMENTS`
 * @throws {DriveError} it is not there, fails (a disk that is gone), or answers nothing that can be read
 */
export async function askDiskutil(verb: string, ...args: string[]): Promise<PlistValue> {
  try {
    return parsePlist(await run(DISKUTIL, [verb, '-plist', ...args]))
  } catch (cause) {
    throw new DriveError(`macOS does not tell its drives: ${sayFailure(DISKUTIL, cause)}`, {
      hint: 'Try `diskutil list` in a terminal; if that works, run the command again.',
      cause,
    })
  }
}

/** All media that the kernel knows, with the number that is never given twice; undefined: it does not answer. */
export async function askIoregistry(): Promise<PlistValue | undefined> {
  try {
    return parsePlist(await run(IOREG, ['-a', '-r', '-c', 'IOMedia', '-d', '1']))
  } catch {
    return undefined
  }
}

/** Unmount all of a disk. @throws {DriveError} something holds it and does not let go */
export async function unmountDisk(path: string): Promise<void> {
  const failure = await retry(() => run(DISKUTIL, ['unmountDisk', path]))
  if (failure === undefined) return
  throw new DriveError(`${path} can't be unmounted: ${sayFailure(DISKUTIL, failure)}`, {
    hint: 'Close what has files on it open (Finder, a terminal in its folder; Spotlight and First Aid take a while) and run the command again.',
    cause: failure,
  })
}

/**
 * Eject a disk that nobody has open any more, so that macOS leaves it as it is.
 * @returns why that failed, as a sentence without its end; undefined: it is ejected, or was taken out
 */
export async function ejectDisk(path: string): Promise<string | undefined> {
  await sleep(MOUNT_PAUSE_MS)
  const failure = await retry(() => run(DISKUTIL, ['eject', path]))
  if (failure === undefined || (await isGone(path))) return undefined
  return `${path} can't be ejected: ${sayFailure(DISKUTIL, failure)}`
}

const isGone = (path: string): Promise<boolean> =>
  askDiskutil('info', path.replace(/^\/dev\//, '')).then(
    () => false,
    () => true,
  )

/** @returns the last failure */
async function retry(action: () => Promise<unknown>): Promise<unknown> {
  for (let tries = 1; ; tries += 1) {
    try {
      await action()
      return undefined
    } catch (error) {
      if (tries === TRIES || (error as NodeJS.ErrnoException).code === 'ENOENT') return error
    }
    await sleep(PAUSE_MS)
  }
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await runFile(program, args, { maxBuffer: MOST_OUTPUT_BYTES })).stdout
}

/** What the program said, on one line. */
function sayFailure(program: string, cause: unknown): string {
  const { code, stderr, stdout, message } = cause as Error & {
    code?: unknown
    stderr?: string
    stdout?: string
  }
  if (code === 'ENOENT') return `there is no ${program}`
  const said = [stderr, ...(stdout?.matchAll(/<key>ErrorMessage<\/key>\s*<string>([^<]*)/g) ?? [])].flatMap(
    (part) => (typeof part === 'string' ? part : (part?.[1] ?? '')).trim() || [],
  )
  return (said[0] ?? message)
    .split('\n')
    .map((line) => line.trim())
    .join(' ')
}
