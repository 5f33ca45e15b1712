/**
 * The rules that keep piimage away from every drive but a spare one, the same
 * for every command and every system. Pure: what is known about a drive goes
 * in, the reason against it comes out. What a system does not tell counts
 * against the drive.
 */
import { formatBytes, SECTOR_BYTES } from '../units.ts'
import type { Drive, Mount } from './drive.ts'

/** Above this, a drive is more likely somebody's backup than a card: it must be named by its serial. */
export const LARGE_DRIVE_BYTES = 256e9

export interface RefusalOptions {
  /** What will be written, bytes. */
  imageLength: number
  /** Given by the person: the drive must have this serial, or this proof where it tells none (`proofOf`). */
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
const CARD_HINT = `Name the drive of the card. ${LIST_HINT}`

/** @returns why `drive` must not be written, the gravest reason first; undefined: it may */
export function findRefusal(drive: Drive, options: RefusalOptions): Refusal | undefined {
  return (
    refuseSystem(drive, options) ??
    refuseKind(drive) ??
    refuseUse(drive, options) ??
    refuseMedium(drive, options)
  )
}

function refuseSystem(drive: Drive, { holdsCache }: RefusalOptions): Refusal | undefined {
  const { path, mounts } = drive
  if (drive.system)
    return { message: `${path} holds the running system (${places(mounts)})`, hint: CARD_HINT }
  if (drive.swap)
    return {
      message: `${path} is used as swap space`,
      hint: `Name another drive, or run swapoff first. ${LIST_HINT}`,
    }
  if (holdsCache)
    return {
      message: `${path} holds piimage's own cache`,
      hint: 'Name another drive, or move the cache with --cache DIR.',
    }
  return undefined
}

/** What it is, whatever it is used for. */
function refuseKind(drive: Drive): Refusal | undefined {
  const { path, memberOf, unknown, backingFile } = drive
  if (drive.internal)
    return {
      message: `${path} is an internal drive${inBrackets(drive.model)}`,
      hint: `piimage never writes to a drive that is built in. ${CARD_HINT}`,
    }
  if (memberOf.length > 0)
    return {
      message: `${path} is part of ${memberOf.join(', ')}`,
      hint: `Name another drive. If nothing on it is needed any more, erase it first with what made it (Disk Utility, wipefs, mdadm).`,
    }
  if (drive.virtual)
    return {
      message: `${path} is a virtual disk made by this system${inBrackets(drive.model)}`,
      hint: CARD_HINT,
    }
  // Not a file in memory, which also lies under /dev.
  if (backingFile !== undefined && /^\/dev\/(?!shm\/)/.test(backingFile))
    return {
      message: `${path} is a loop device over ${backingFile}`,
      hint: `Name the drive itself, if that is what you want to erase. ${LIST_HINT}`,
    }
  if (unknown.length > 0)
    return {
      message: `the system does not say enough about ${path} to be sure of it (${unknown.join(', ')})`,
      hint: 'Use another reader. piimage only writes to what it knows to be a spare drive.',
    }
  return undefined
}

/** What uses it now. */
function refuseUse(drive: Drive, { unmount }: RefusalOptions): Refusal | undefined {
  const { path, mounts, holders, writers } = drive
  const stays = unmount === true || drive.autoUnmount ? mounts.filter((mount) => !isAutoMount(mount)) : mounts
  if (stays.length > 0)
    return {
      message: `${path} is mounted (${places(stays)})`,
      hint: mounts.every(isAutoMount)
        ? 'Check that nothing on it is needed, then add --unmount.'
        : `Unmount it first: sudo umount ${stays[0]?.target ?? path}`,
    }
  if (holders.length > 0)
    return {
      message: `${path} is part of ${holders.join(', ')}`,
      hint: 'Name another drive, or take it out of the volume group, RAID, encryption or loop device first.',
    }
  if (writers.length > 0)
    return {
      message: `${path} is in use: another program has it open or mounted it: ${writers.join(', ')}`,
      hint: 'Close that program (a virtual machine, a partition editor) and run the command again.',
    }
  return undefined
}

/** Whether it can take the image, and is the one that was meant. */
function refuseMedium(drive: Drive, { imageLength, serial }: RefusalOptions): Refusal | undefined {
  const { path } = drive
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
  return refuseUnproven(drive, serial)
}

function refuseUnproven(drive: Drive, given: string | undefined): Refusal | undefined {
  const { path, size, serial } = drive
  const proof = proofOf(drive)
  if (given !== undefined) {
    if (given.toLowerCase() === proof.toLowerCase()) return undefined
    const actual = serial === undefined ? 'no serial' : `the serial ${serial}`
    return {
      message: `${path} has ${actual}, not ${given === '' ? 'an empty one' : given}`,
      hint: serial === undefined ? `If it is the right one: --serial ${quoteWord(proof)}` : LIST_HINT,
    }
  }
  const hint = `If it is the right one, add --serial ${quoteWord(proof)}`
  if (size > LARGE_DRIVE_BYTES)
    return {
      message: `${path} has ${formatBytes(size)}, more than cards usually have${inBrackets(drive.model)}`,
      hint,
    }
  if (!isExpectedMedium(drive))
    return { message: `${path} is not a removable drive${inBrackets(drive.model)}`, hint }
  return undefined
}

/** What somebody who prepares cards means, without being asked again. */
function isExpectedMedium({ bus, removable, backingFile }: Drive): boolean {
  // A loop device was attached by hand; but not those of container and package managers.
  if (bus === 'loop') return !/^\/(boot|etc|nix|opt|snap|usr|var\/lib)\//.test(backingFile ?? '')
  return removable || bus === 'usb' || bus === 'mmc'
}

/** What a person names a drive by to say that this very one is meant: its serial, or model and exact size. */
export const proofOf = ({ serial, model, size }: Pick<Drive, 'serial' | 'model' | 'size'>): string =>
  serial ?? (model === undefined ? String(size) : `${model}:${size}`)

/** Where desktops put what is plugged in; on Windows, a drive letter. */
export const isAutoMount = ({ target }: Mount): boolean =>
  /^(\/(media|run\/media|Volumes)\/|[A-Z]:\\)/.test(target)

const places = (mounts: readonly Mount[]): string =>
  mounts.length === 0
    ? 'in use'
    : [...new Set(mounts.map(({ target }) => target))].slice(0, 4).join(', ') +
      (mounts.length > 4 ? ', …' : '')

const inBrackets = (text: string | undefined): string => (text === undefined ? '' : ` (${text})`)

/** For a shell. */
const quoteWord = (word: string): string =>
  /^[\w.:/@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** Both figures: rounded ones can be equal when the exact ones are not. */
const sizeOf = (bytes: number): string => `${formatBytes(bytes)} (${bytes} bytes)`
