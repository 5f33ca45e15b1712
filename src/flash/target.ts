/**
 * Where a card's bytes go: a drive, or a file named like `oneil.img`.
 *
 * Both look the same to the engines (./write.ts, ./patch.ts). A drive is opened for nobody
 * else and stays as it is when closed. A file is written beside its place under another
 * name (../io/parts.ts) and renamed by `commit`; closed without it, it is gone.
 */
import { existsSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { deniedDrive } from '../drives/denied.ts'
import { formatDeviceNumber } from '../drives/device-number.ts'
import { unmountDisk } from '../drives/diskutil.ts'
import { findAgain } from '../drives/guard.ts'
import { type DriveIdentity, otherDrive, requireSameDrive, watchMedium } from '../drives/identity.ts'
import { refusalOf } from '../errno.ts'
import { DriveError, UsageError } from '../errors.ts'
import { syncFolder } from '../io/atomic-file.ts'
import { tryLockFile } from '../io/file-lock.ts'
import { giveToPerson } from '../io/ownership.ts'
import { clearParts, partOf } from '../io/parts.ts'
import { alignUp, KiB } from '../units.ts'
import { type DirectFile, openDirectFile } from './direct-file.ts'

/** What offsets and lengths of requests are multiples of: a page, and the block of nearly every file system. */
export const ALIGN_BYTES = 4 * KiB

export interface Target {
  kind: 'drive' | 'file'
  /** As people know it: `/dev/sda`, `oneil.img`. */
  readonly path: string
  /** Bytes that can be written. */
  readonly length: number
  /** Whether it is read and written past the page cache. */
  readonly direct: boolean
  read(into: Buffer, offset: number): Promise<void>
  write(bytes: Buffer, offset: number): Promise<void>
  flush(): Promise<void>
  /** Everything is written and verified: put the file in its place. */
  commit(): Promise<void>
  /** Let go; what was not committed of a file is removed. */
  close(): Promise<void>
}

/**
 * Something may hold a card for a moment: on a Mac after it was put in (Spotlight, fsck), elsewhere whoever
 * looks for a free loop device. So often, and so long apart, it is asked for.
 */
const OPEN_TRIES = 5
const MAC_PAUSE_MS = 1000
const PAUSE_MS = 200

/**
 * Open a drive that passed `guardDrive`, for this process alone. Every write asks
 * again whether the medium is still the same: what is pulled and put back
 * meanwhile is another one.
 * @param drive as a person confirmed it
 * @throws {DriveError} held by another program, not permitted, or another drive by now
 */
export async function openDriveTarget(
  drive: DriveIdentity,
  platform: NodeJS.Platform = process.platform,
): Promise<Target> {
  // Before it is opened: what changes afterwards is seen.
  const isSame = platform === 'linux' ? watchMedium(drive) : () => true
  const file = await openDrive(drive.path, platform)
  try {
    if (drive.number !== undefined && formatDeviceNumber(await file.deviceNumber()) !== drive.number)
      throw otherDrive(drive.path, 'its name leads to another device now')
    if ('bus' in drive) requireSameDrive(drive, await findAgain(drive, platform))
  } catch (error) {
    await file.close()
    throw error
  }
  const write = async (bytes: Buffer, offset: number) => {
    if (!isSame()) throw otherDrive(drive.path, 'another medium was put in while it was written')
    await file.write(bytes, offset)
  }
  return makeTarget('drive', drive.path, drive.size, file, {
    commit: async () => {},
    close: () => file.close(),
    write,
  })
}

async function openDrive(path: string, platform: NodeJS.Platform): Promise<DirectFile> {
  const isMac = platform === 'darwin'
  const raw = isMac ? path.replace(/^\/dev\/disk/, '/dev/rdisk') : path
  for (let tries = 1; ; tries += 1) {
    try {
      return await openDirectFile(raw, { kind: 'drive', platform })
    } catch (error) {
      const isBusy = refusalOf(error) === 'busy'
      if (!isBusy || tries === OPEN_TRIES) throw openFailure(path, error, isMac)
    }
    await sleep(isMac ? MAC_PAUSE_MS : PAUSE_MS)
    if (isMac) await unmountDisk(path)
  }
}

function openFailure(path: string, cause: unknown, isMac: boolean): unknown {
  switch (refusalOf(cause)) {
    case 'busy':
      return new DriveError(`${path} is in use: another program has it open or mounted it`, {
        hint: 'Close that program (a second piimage, a file manager, a partition editor) and run the command again.',
        cause,
      })
    case 'denied':
      if (isMac && process.getuid?.() === 0)
        return new DriveError(`macOS does not let this terminal write to ${path}, not even as root`, {
          hint: 'In System Settings, Privacy & Security, allow your terminal program under "Files & Folders: Removable Volumes" or "Full Disk Access", then quit it and run the command again.',
          cause,
        })
      return deniedDrive(path, cause)
    case 'read-only':
      return new DriveError(`${path} is write-protected`, {
        hint: 'Slide the lock switch of the card or its adapter away from "lock".',
        cause,
      })
    case 'missing':
    case 'gone':
      return new DriveError(`${path} is gone`, {
        hint: 'Put the card in again; `piimage drives` shows its path.',
        cause,
      })
    default:
      return cause
  }
}

/**
 * Open an image file to change it where it lies (./patch.ts); it stays as it is when closed.
 * @throws {UsageError} it may not be written
 */
export async function openImageTarget(path: string): Promise<Target> {
  let file: DirectFile
  try {
    file = await openDirectFile(path, { kind: 'file' })
  } catch (cause) {
    throw new UsageError(`${path} can't be changed: ${(cause as Error).message}`, {
      hint: 'Check its permissions, or make a copy of it that you may write.',
      cause,
    })
  }
  const { size } = await stat(path)
  return makeTarget('file', path, size, file, { commit: async () => {}, close: () => file.close() })
}

/**
 * Make an image file of `imageLength` bytes; what is skipped becomes holes.
 * @throws {UsageError} it exists and `overwrite` is false, or its folder can't be written
 * @throws {DriveError} another piimage is writing it
 * @throws the signal's reason
 */
export async function openFileTarget(
  path: string,
  imageLength: number,
  options: { overwrite: boolean; signal: AbortSignal },
): Promise<Target> {
  const existing = await stat(path).catch(() => undefined)
  if (existing !== undefined && !existing.isFile())
    throw new UsageError(`${path} is not a file`, { hint: 'Name a file that ends in .img.' })
  const cannotMake = (cause: unknown) =>
    new UsageError(`${path} can't be made: ${(cause as Error).message}`, {
      hint: 'Check that its folder exists, may be written to, and takes files of this size.',
      cause,
    })
  const lock = await tryLockFile(path, options.signal).catch((error) => {
    options.signal.throwIfAborted()
    throw cannotMake(error)
  })
  if (!('release' in lock))
    throw new DriveError(`${path} is being written by another piimage (process ${lock.heldBy})`, {
      hint: 'Wait for it to end, or name another file.',
    })
  try {
    if (!options.overwrite && existsSync(path))
      throw new UsageError(`${path} exists already`, {
        hint: 'Add --yes to overwrite it, or name another file.',
      })
    const target = await openPart(path, imageLength).catch((error) => {
      throw cannotMake(error)
    })
    const close = () => target.close().finally(() => lock.release())
    return { ...target, close }
  } catch (error) {
    lock.release()
    throw error
  }
}

/** A target beside its place, made anew; parts that killed processes left are removed. */
async function openPart(path: string, imageLength: number): Promise<Target> {
  await clearParts(path)
  const partial = partOf(path)
  const file = await openDirectFile(partial, { kind: 'new-file' })
  await giveToPerson(partial, dirname(path))
  let committed = false
  const close = async () => {
    await file.close()
    if (!committed) await rm(partial, { force: true })
  }
  const commit = async () => {
    await file.truncate(imageLength)
    await file.flush()
    await rename(partial, path)
    committed = true
    await syncFolder(dirname(path))
  }
  try {
    // The last request may reach past the image's end, to a whole block; `commit` cuts that off.
    const length = alignUp(imageLength, ALIGN_BYTES)
    await file.truncate(length)
    return makeTarget('file', path, length, file, { commit, close })
  } catch (error) {
    await close()
    throw error
  }
}

function makeTarget(
  kind: Target['kind'],
  path: string,
  length: number,
  file: DirectFile,
  own: Pick<Target, 'commit' | 'close'> & Partial<Pick<Target, 'write'>>,
): Target {
  return {
    kind,
    path,
    length,
    get direct() {
      return file.direct
    },
    read: file.read,
    write: file.write,
    flush: file.flush,
    ...own,
  }
}
