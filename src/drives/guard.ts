/**
 * From a path on the command line to a drive that may be erased.
 *
 * Paths are judged by what they lead to, never by how they are spelt: links,
 * `..`, other names for the same device (`/dev/disk/by-id/…`, a node made by
 * mknod) all end at one device number. Nothing is opened here; `openDriveTarget`
 * does that later, for itself alone, and looks once more.
 */
import { execFile } from 'node:child_process'
import { realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { DriveError, type PiimageError, UsageError } from '../errors.ts'
import { readSignatures } from './contents.ts'
import { requireWriteAccess } from './denied.ts'
import { formatDeviceNumber } from './device-number.ts'
import { unmountDisk } from './diskutil.ts'
import type { Drive } from './drive.ts'
import { type DriveIdentity, requireSameDrive } from './identity.ts'
import {
  describeLinuxDrive,
  type LinuxDevices,
  nameLostFiles,
  readContents,
  readLinuxDevices,
} from './linux.ts'
import { listDrives, noDrivesHere } from './list.ts'
import { findRefusal, isAutoMount, type Refusal } from './refusal.ts'
import type { BlockDevice } from './sysfs.ts'

const runFile = promisify(execFile)

export interface GuardOptions {
  /** The drive must have this serial, or this proof where it tells none (./refusal.ts). */
  serial?: string
  /** Unmount what the desktop mounted by itself. Always done for cards on macOS. */
  unmount?: boolean
  /** piimage's cache folder; it need not exist yet. */
  cachePath: string
  platform?: NodeJS.Platform
  /** The drive as a person confirmed it: it must still be that one. */
  confirmed?: DriveIdentity
}

/** Programs that look for drives open each for a moment (losetup, a partition editor that starts). */
const WRITER_TRIES = 5
const WRITER_PAUSE_MS = 200

const LIST_HINT = '`piimage drives` lists the drives of this machine.'

/** What every command thinks of a drive. @returns why it must not be written; undefined: it may */
export const judgeDrive = (drive: Drive, imageLength: number, options: GuardOptions): Refusal | undefined =>
  findRefusal(drive, {
    imageLength,
    serial: options.serial,
    unmount: options.unmount,
    holdsCache: holdsFolder(drive, options.cachePath),
  })

/**
 * @param path as given: a drive, by any of its names
 * @param imageLength bytes that will be written
 * @returns the drive, by its own path; nothing on it is mounted any more
 * @throws {UsageError} there is nothing at `path`; or drives can't be written on this system
 * @throws {DriveError} it is no whole drive, must not be written, or is not the one that was confirmed
 */
export async function guardDrive(path: string, imageLength: number, options: GuardOptions): Promise<Drive> {
  const platform = options.platform ?? process.platform
  if (platform !== 'linux' && platform !== 'darwin') throw noDrivesHere(platform)
  const real = checkIsDevice(path, platform)
  const check = async (options: GuardOptions): Promise<Drive> => {
    for (let tries = 1; ; tries += 1) {
      const drive = await (platform === 'linux' ? findLinuxDrive(path, real) : findMacDrive(path, real))
      if (options.confirmed !== undefined) requireSameDrive(options.confirmed, drive)
      const refusal = judgeDrive(drive, imageLength, options)
      if (refusal === undefined) return drive
      if (drive.writers.length === 0 || tries === WRITER_TRIES)
        throw new DriveError(refusal.message, { hint: refusal.hint })
      await sleep(WRITER_PAUSE_MS)
    }
  }
  const drive = await check(options)
  await requireWriteAccess(drive.path)
  // A card that was just put in may not be mounted yet on a Mac.
  if (platform === 'darwin') await unmountDisk(drive.path)
  else if (drive.mounts.length > 0) await unmountAll(drive)
  else return drive
  return check({ ...options, unmount: false, confirmed: drive })
}

/**
 * The same drive once more, however little time has gone by.
 * @returns undefined: there is nothing at its path any more
 */
export async function findAgain(
  { path }: DriveIdentity,
  platform: NodeJS.Platform,
): Promise<Drive | undefined> {
  if (platform === 'darwin') return (await listDrives(platform)).find((drive) => drive.path === path)
  const devices = await nameLostFiles(readLinuxDevices())
  const device = [...devices.byName.values()].find((candidate) => candidate.path === path)
  return device === undefined ? undefined : describeLinuxDrive(devices, device)
}

/** @returns the path with all links followed */
function checkIsDevice(path: string, platform: NodeJS.Platform): string {
  let real: string
  let stats: Stats
  try {
    // In this order: realpath takes an empty path for the current folder. And the system's own: Node's
    // takes `..` for the folder above in writing, which behind a link is another.
    stats = statSync(path)
    real = realpathSync.native(path)
  } catch (cause) {
    throw new UsageError(`there is no ${path || 'drive without a name'}`, {
      hint: path.startsWith('/dev/')
        ? `Is the card in? ${LIST_HINT}`
        : `To make an image file, let its name end in .img. For a card: ${LIST_HINT}`,
      cause,
    })
  }
  const what = kindOf(stats)
  // The raw device of macOS, /dev/rdisk2, is a character device and as good a name.
  const isRawDisk = platform === 'darwin' && /^\/dev\/rdisk\d/.test(real)
  if (what !== 'a drive' && !isRawDisk)
    throw new DriveError(`${path} is ${what}, not a drive`, {
      hint: stats.isFile()
        ? 'To make an image file, let its name end in .img; for a card, name its drive.'
        : LIST_HINT,
    })
  return real
}

function kindOf(stats: Stats): string {
  if (stats.isBlockDevice()) return 'a drive'
  if (stats.isDirectory()) return 'a folder'
  if (stats.isCharacterDevice()) return 'a character device'
  return stats.isFile() ? 'a file' : 'a pipe or socket'
}

async function findLinuxDrive(path: string, real: string): Promise<Drive> {
  const devices = await nameLostFiles(readLinuxDevices())
  const number = formatDeviceNumber(statSync(real, { bigint: true }).rdev)
  const device = [...devices.byName.values()].find((candidate) => candidate.number === number)
  if (device === undefined)
    throw new DriveError(`${path} has no medium in it`, { hint: `Put a card in. ${LIST_HINT}` })
  const refusal = refuseNotWhole(devices, device, path)
  if (refusal !== undefined) throw refusal
  await readContents(devices, device.name)
  return describeLinuxDrive({ ...devices, proc: '/proc' }, device)
}

/** A partition, a volume or an array is not a drive. */
export function refuseNotWhole(
  devices: LinuxDevices,
  device: BlockDevice,
  path: string,
): PiimageError | undefined {
  if (device.wholeDrive !== undefined) {
    const whole = devices.byName.get(device.wholeDrive)?.path ?? `/dev/${device.wholeDrive}`
    return new DriveError(`${path} is a partition of ${whole}`, {
      hint: `An image is written to the whole drive: ${whole}`,
    })
  }
  if (/^(dm-|md|bcache|drbd|z?ram)\d/.test(device.name))
    return new DriveError(`${path} is a volume made by this system (${device.name}), not a drive`, {
      hint: `Name the drive of the card. ${LIST_HINT}`,
    })
  return undefined
}

async function findMacDrive(path: string, real: string): Promise<Drive> {
  const id = basename(real).replace(/^r(?=disk)/, '')
  const whole = `/dev/${/^disk\d+/.exec(id)?.[0] ?? id}`
  if (`/dev/${id}` !== whole)
    throw new DriveError(`${path} is a partition of ${whole}`, {
      hint: `An image is written to the whole drive: ${whole}`,
    })
  const drive = (await listDrives('darwin')).find((candidate) => candidate.path === whole)
  if (drive === undefined)
    throw new DriveError(`${path} is an APFS container or has no medium, it is not a drive`, {
      hint: LIST_HINT,
    })
  // What macOS has no word for: Linux' file systems, encryption and sets on the drive itself.
  const [found] = drive.fileSystem === undefined ? await readSignatures(drive.path, drive.size) : []
  return found === undefined || drive.partitions.length > 0
    ? drive
    : { ...drive, fileSystem: found.type, label: found.label }
}

/** Whether a folder (or the nearest one above it that exists) lies on the drive, or the drive is a file in it. */
function holdsFolder(drive: Drive, folder: string): boolean {
  const real = nearestRealFolder(resolve(folder))
  if (drive.backingFile?.startsWith(join(real, '/'))) return true
  const lies = (target: string) => real === target || real.startsWith(join(target, '/'))
  return drive.mounts.some(({ target }) => target !== '/' && lies(target))
}

function nearestRealFolder(folder: string): string {
  try {
    return realpathSync.native(folder)
  } catch {
    const parent = dirname(folder)
    return parent === folder ? folder : join(nearestRealFolder(parent), basename(folder))
  }
}

async function unmountAll(drive: Drive): Promise<void> {
  try {
    // The last mounted first: one may lie inside another.
    for (const { target } of drive.mounts.filter(isAutoMount).reverse())
      await runFile('umount', ['--', target])
  } catch (cause) {
    throw new DriveError(`${drive.path} can't be unmounted: ${(cause as Error).message.trim()}`, {
      hint: 'Close what has files on it open (a file manager, a terminal in its folder) and run the command again.',
      cause,
    })
  }
}
