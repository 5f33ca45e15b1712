/**
 * From a path on the command line to a drive that may be erased.
 *
 * Paths are judged by what they lead to, never by how they are spelt: links,
 * `..`, other names for the same device (`/dev/disk/by-id/…`, a node made by
 * mknod) all end at one device number. Nothing is opened here; `openDriveTarget`
 * does that later, with O_EXCL as the last line of defence.
 */
import { execFile } from 'node:child_process'
import { realpathSync, type Stats, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { DriveError, type PiimageError, UsageError } from '../errors.ts'
import type { Drive } from './drive.ts'
import { describeLinuxDrive, type LinuxDevices, readLinuxDevices } from './linux.ts'
import { listDrives, noDrivesHere } from './list.ts'
import { findRefusal, isAutoMount, type RefusalOptions } from './refusal.ts'
import type { BlockDevice } from './sysfs.ts'

const runFile = promisify(execFile)

export interface GuardOptions {
  /** The drive must have this serial; needed above 256 GB. */
  serial?: string
  /** Unmount what the desktop mounted by itself. Always done on macOS. */
  unmount?: boolean
  /** piimage's cache folder; it need not exist yet. */
  cachePath: string
  platform?: NodeJS.Platform
}

const LIST_HINT = '`piimage drives` lists the drives of this machine.'

/**
 * @param path as given: a drive, by any of its names
 * @param imageLength bytes that will be written
 * @returns the drive, by its own path; nothing on it is mounted any more
 * @throws {UsageError} there is nothing at `path`; or drives can't be written on this system
 * @throws {DriveError} it is no whole drive, or must not be written
 */
export async function guardDrive(path: string, imageLength: number, options: GuardOptions): Promise<Drive> {
  const platform = options.platform ?? process.platform
  if (platform !== 'linux' && platform !== 'darwin') throw noDrivesHere(platform)
  const unmount = options.unmount === true || platform === 'darwin'
  const real = checkIsDevice(path, platform)
  const find = () => (platform === 'linux' ? findLinuxDrive(path, real) : findMacDrive(path, real))
  const check = async (mayUnmount: boolean): Promise<Drive> => {
    const drive = await find()
    const refusal = findRefusal(drive, {
      imageLength,
      serial: options.serial,
      unmount: mayUnmount,
      holdsCache: holdsFolder(drive, options.cachePath),
    } satisfies RefusalOptions)
    if (refusal !== undefined) throw new DriveError(refusal.message, { hint: refusal.hint })
    return drive
  }
  const drive = await check(unmount)
  if (drive.mounts.length === 0) return drive
  await unmountDrive(drive, platform)
  return check(false)
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
      hint: `Is the card in? ${LIST_HINT}`,
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
  const devices = readLinuxDevices()
  const number = formatDeviceNumber(statSync(real, { bigint: true }).rdev)
  const device = [...devices.byName.values()].find((candidate) => candidate.number === number)
  if (device === undefined)
    throw new DriveError(`${path} has no medium in it`, { hint: `Put a card in. ${LIST_HINT}` })
  const refusal = refuseNotWhole(devices, device, path)
  if (refusal !== undefined) throw refusal
  return describeLinuxDrive(devices, device)
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

/** Linux packs `major:minor` into 64 bits with the low byte of minor at the bottom: <sys/sysmacros.h>. */
export function formatDeviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
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
  return drive
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

async function unmountDrive(drive: Drive, platform: NodeJS.Platform): Promise<void> {
  try {
    if (platform === 'darwin') await runFile('diskutil', ['unmountDisk', drive.path])
    // The last mounted first: one may lie inside another.
    else
      for (const { target } of drive.mounts.filter(isAutoMount).reverse())
        await runFile('umount', ['--', target])
  } catch (cause) {
    throw new DriveError(`${drive.path} can't be unmounted: ${(cause as Error).message.trim()}`, {
      hint: 'Close what has files on it open (a file manager, a terminal in its folder) and run the command again.',
      cause,
    })
  }
}
