/**
 * One process at a time per cache entry, or per folder that piimage owns: a lock
 * file that says who holds it, and whose time is renewed while they live.
 *
 * A holder on this machine is gone when its process is (by number and start
 * time, so a reused number doesn't count). One that can't be looked at, in
 * another container or on another machine that shares the folder, is gone when
 * its lock wasn't renewed for long: a minute of our own watching, or ten
 * minutes by the clock.
 *
 * What this guards is work, not truth: final names appear only when what they
 * name is whole, whoever made it.
 */
import { randomUUID } from 'node:crypto'
import { lstatSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { UsageError } from '../errors.ts'
import { isRunning, processPlace, startOfProcess } from './processes.ts'

interface Holder {
  /** This very lock, among all that ever had this name. */
  id: string
  pid: number
  /** When the process started, in the kernel's words; '' where it can't be known. */
  started: string
  /** Where `pid` means something. */
  place: string
}

export interface EntryLock {
  release(): void
}

const RENEW_MS = 5_000
const POLL_MS = 100
const WATCHED_MS = 60_000
const LONG_AGO_MS = 10 * 60_000
/** A lock file without its text yet, or a takeover: both last microseconds. */
const TORN_MS = 5_000
/** Longer than any lock of ours: not read, and nobody's. */
const MOST_BYTES = 4096

/**
 * Take the lock, or say who has it.
 * @returns the process number of the live holder, when there is one; 0: a lock without its text (yet)
 */
export function tryLockEntry(path: string): EntryLock | { heldBy: number } {
  const mine: Holder = {
    id: randomUUID(),
    pid: process.pid,
    started: startOfProcess(process.pid),
    place: processPlace(),
  }
  if (create(path, mine)) return hold(path, mine)
  requirePlainFile(path)
  const found = look(path)
  if (found !== undefined && !isGone(found)) return { heldBy: found.holder?.pid ?? 0 }
  if (found !== undefined) remove(path, found)
  return create(path, mine) ? hold(path, mine) : { heldBy: look(path)?.holder?.pid ?? 0 }
}

/** Take the lock, or say who has it; whose a torn one is, the next moments show. @throws the signal's reason */
export async function lockIfFree(path: string, signal: AbortSignal): Promise<EntryLock | { heldBy: number }> {
  for (;;) {
    signal.throwIfAborted()
    const lock = tryLockEntry(path)
    if ('release' in lock || lock.heldBy !== 0) return lock
    await pause(signal)
  }
}

/**
 * Take the lock, or say which living process has it. One that can't be looked
 * at is waited for until it renews its lock, or for `watchMs`.
 * @returns the process number of the live holder, when there is one
 * @throws the signal's reason
 */
export async function lockUnlessAlive(
  path: string,
  signal: AbortSignal,
  watchMs = WATCHED_MS,
): Promise<EntryLock | { heldBy: number }> {
  let watched: { id: string; renewedMs: number; since: number } | undefined
  for (;;) {
    signal.throwIfAborted()
    const lock = tryLockEntry(path)
    if ('release' in lock) return lock
    const found = look(path)
    if (found?.holder !== undefined) {
      const { id, pid } = found.holder
      if (isHere(found.holder)) {
        if (isRunningStill(found.holder)) return { heldBy: pid }
      } else if (watched?.id !== id) watched = { id, renewedMs: found.renewedMs, since: performance.now() }
      else if (watched.renewedMs !== found.renewedMs) return { heldBy: pid }
      else if (performance.now() - watched.since > watchMs) remove(path, found)
    }
    await pause(signal)
  }
}

/**
 * Take the lock, waiting for whoever has it.
 * @param onWait called once, with the holder's process number, when there is something to wait for
 * @throws the signal's reason
 */
export async function lockEntry(
  path: string,
  signal: AbortSignal,
  onWait: (pid: number) => void,
): Promise<EntryLock> {
  for (let told = false; ; told = true) {
    const lock = await lockUnlessAlive(path, signal)
    if ('release' in lock) return lock
    if (!told) onWait(lock.heldBy)
    await pause(signal)
  }
}

const pause = (signal: AbortSignal): Promise<void> =>
  sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted())

function hold(path: string, mine: Holder): EntryLock {
  const renew = setInterval(() => {
    try {
      const now = new Date()
      utimesSync(path, now, now)
    } catch {
      // Taken over, or the folder went away: the digest decides what becomes of our work.
    }
  }, RENEW_MS)
  renew.unref()
  return {
    release() {
      clearInterval(renew)
      if (look(path)?.holder?.id === mine.id) rmSync(path, { force: true })
    },
  }
}

function create(path: string, holder: Holder): boolean {
  try {
    writeFileSync(path, JSON.stringify(holder), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    // No room: a lock without its text would look like one that is being made.
    rmSync(path, { force: true })
    throw error
  }
}

interface Found {
  /** undefined: no text in it (yet). */
  holder: Holder | undefined
  renewedMs: number
}

/** @throws {UsageError} what lies there was not made by piimage: a pipe would be waited for without end */
function requirePlainFile(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false)
    throw new UsageError(`the lock ${path} is not a plain file`, {
      hint: 'Somebody else may have put it there. Remove it, or use another folder.',
    })
}

function look(path: string): Found | undefined {
  try {
    const info = lstatSync(path)
    if (!info.isFile()) return undefined
    const text = info.size > MOST_BYTES ? '' : readFileSync(path, 'utf8')
    return { holder: parseHolder(text), renewedMs: info.mtimeMs }
  } catch {
    return undefined
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { id, pid, started, place: at } = JSON.parse(text)
    return typeof id === 'string' && Number.isSafeInteger(pid) && pid > 0
      ? { id, pid, started: String(started), place: String(at) }
      : undefined
  } catch {
    return undefined
  }
}

function isGone({ holder, renewedMs }: Found): boolean {
  const age = Date.now() - renewedMs
  if (holder === undefined) return age > TORN_MS
  return isHere(holder) ? !isRunningStill(holder) : age > LONG_AGO_MS
}

const isHere = (holder: Holder): boolean => holder.place === processPlace()

/** The number may be another process's by now. */
const isRunningStill = ({ pid, started }: Holder): boolean =>
  isRunning(pid) && startOfProcess(pid) === started

/**
 * Remove the lock that was found, and no newer one. Two may find the same one
 * at once; the second would remove the first's new lock, so removing has a
 * guard of its own, inside which we look again.
 */
function remove(path: string, found: Found): void {
  const guard = `${path}.takeover`
  const guardFound = look(guard)
  if (guardFound !== undefined && Date.now() - guardFound.renewedMs > TORN_MS) rmSync(guard, { force: true })
  try {
    writeFileSync(guard, '', { flag: 'wx' })
  } catch {
    return
  }
  try {
    if (look(path)?.holder?.id === found.holder?.id) rmSync(path, { force: true })
  } finally {
    rmSync(guard, { force: true })
  }
}
