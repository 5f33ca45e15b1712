/**
 * The rules that keep piimage away from every drive but a spare one. Pure:
 * what is known about a drive goes in, the reason against it comes out.
 */
import { formatBytes, SECTOR_BYTES } from '../units.ts'
import type { Drive, Mount } from './drive.ts'

/** Above this, a drive is more likely somebody's backup than a card; its serial must be given. */
export const LARGE_DRIVE_BYTES = 256e9

export interface RefusalOptions {
  /** What will be written, bytes. */
  imageLength: number
  /** Given by the person: the drive must have this serial. */
  serial?: string
  /** Whether file systems that the desktop mounted by itself may be unmounted. */
  unmount?: boolean
  /** The file system of piimage's cache is on this drive, or the drive is a file in it. */
  holdsCache: boolean
}

export interface Refusal {
  /** One sentence. */
  message: string
  /** The next step. */
  hint: string
}

const LIST_HINT = '`piimage drives` lists the drives of this machine and what is on them.'

/** @returns why `drive` must not be written, the gravest reason first; undefined: it may */
export function findRefusal(drive: Drive, options: RefusalOptions): Refusal | undefined {
  const { path, mounts, holders } = drive
  const { imageLength, serial } = options
  if (drive.system)
    return {
      message: `${path} holds the running system (${places(mounts)})`,
      hint: `Name the drive of the card. ${LIST_HINT}`,
    }
  if (drive.swap)
    return {
      message: `${path} is used as swap space`,
      hint: `Name another drive, or run swapoff first. ${LIST_HINT}`,
    }
  if (options.holdsCache)
    return {
      message: `${path} holds piimage's own cache`,
      hint: 'Name another drive, or move the cache with --cache DIR.',
    }
  // Not a file in memory, which also lies under /dev.
  if (drive.backingFile !== undefined && /^\/dev\/(?!shm\/)/.test(drive.backingFile))
    return {
      message: `${path} is a loop device over ${drive.backingFile}`,
      hint: `Name the drive itself, if that is what you want to erase. ${LIST_HINT}`,
    }
  const stays = options.unmount === true ? mounts.filter((mount) => !isAutoMount(mount)) : mounts
  if (stays.length > 0)
    return {
      message: `${path} is mounted (${places(stays)})`,
      hint: mounts.every(isAutoMount)
        ? 'Check that nothing on it is needed, then add --unmount.'
        : `Unmount it first: sudo umount ${stays[0]?.target ?? path}`,
    }
  if (holders.length > 0 && mounts.length === 0)
    return {
      message: `${path} is part of ${holders.join(', ')}`,
      hint: 'Name another drive, or take it out of the volume group, RAID, encryption or loop device first.',
    }
  if (drive.readOnly)
    return {
      message: `${path} is write-protected`,
      hint: 'Slide the lock switch of the card or its adapter away from "lock" and put it in again.',
    }
  if (drive.size < imageLength)
    return {
      message: `${path} is too small: it has ${sizeOf(drive.size)}, the image ${sizeOf(imageLength)}`,
      hint: 'Use a larger card.',
    }
  if (drive.sectorSize !== SECTOR_BYTES)
    return {
      message: `${path} has sectors of ${drive.sectorSize} bytes; Raspberry Pi images are made for ${SECTOR_BYTES}`,
      hint: 'Use another card or another reader: a Pi could not boot from this one.',
    }
  return findSerialRefusal(drive, serial)
}

function findSerialRefusal(drive: Drive, serial: string | undefined): Refusal | undefined {
  const { path, size } = drive
  const actual = drive.serial
  if (serial !== undefined && serial.toLowerCase() !== actual?.toLowerCase())
    return {
      message: `${path} has ${actual === undefined ? 'no serial' : `the serial ${actual}`}, not ${serial}`,
      hint: LIST_HINT,
    }
  if (size > LARGE_DRIVE_BYTES && serial === undefined)
    return {
      message: `${path} has ${formatBytes(size)}, more than cards usually have${drive.model === undefined ? '' : ` (${drive.model})`}`,
      hint:
        actual === undefined
          ? 'Use a card of at most 256 GB: this drive does not tell a serial to confirm it by.'
          : `If it is the right one, add --serial ${actual}`,
    }
  return undefined
}

/** Where desktops put what is plugged in. */
export const isAutoMount = ({ target }: Mount): boolean => /^\/(media|run\/media|Volumes)\//.test(target)

const places = (mounts: readonly Mount[]): string =>
  mounts.length === 0
    ? 'in use'
    : [...new Set(mounts.map(({ target }) => target))].slice(0, 4).join(', ') +
      (mounts.length > 4 ? ', …' : '')

/** Both figures: rounded ones can be equal when the exact ones are not. */
const sizeOf = (bytes: number): string => `${formatBytes(bytes)} (${bytes} bytes)`
