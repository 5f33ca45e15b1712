/** Drives on Linux: sysfs for what there is, mountinfo and swaps for what is in use. */
import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { type MountEntry, parseMountinfo, parseSwaps } from '../io/mountinfo.ts'
import type { Drive, Mount } from './drive.ts'
import { type BlockDevice, readBlockDevices, readBtrfsMembers } from './sysfs.ts'

/** The machine's block devices and their use, at one moment. */
export interface LinuxDevices {
  byName: Map<string, BlockDevice>
  mounts: MountEntry[]
  /** Kernel names or paths of files. */
  swaps: string[]
  btrfs: string[][]
}

/** @param root where /sys, /proc and /run are; `/` or a recorded tree */
export function readLinuxDevices(root = '/'): LinuxDevices {
  const read = (path: string): string => {
    try {
      return readFileSync(join(root, path), 'utf8')
    } catch {
      return ''
    }
  }
  return {
    byName: readBlockDevices(root),
    // In a container or another mount namespace, the machine's own mounts show under process 1, if at all.
    mounts: parseMountinfo(`${read('proc/self/mountinfo')}\n${read('proc/1/mountinfo')}`),
    swaps: parseSwaps(read('proc/swaps')),
    btrfs: readBtrfsMembers(root),
  }
}

/** Devices that are never a card: memory, optical, and what stands on other drives; eMMC boot areas. */
const NOT_A_DRIVE = /^(ram|zram|sr|fd|dm-|md|drbd|bcache)\d|^mmcblk\d+(boot\d+|rpmb)$/

/** Whole drives, by path. */
export function listLinuxDrives(devices: LinuxDevices): Drive[] {
  return [...devices.byName.values()]
    .filter(({ name, wholeDrive }) => wholeDrive === undefined && !NOT_A_DRIVE.test(name))
    .map((device) => describeLinuxDrive(devices, device))
    .sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }))
}

/** One device with everything that stands on it. */
export function describeLinuxDrive(devices: LinuxDevices, device: BlockDevice): Drive {
  const stack = stackOn(devices, device)
  const mounts = mountsOf(devices, stack)
  const { path, size, sectorSize, model, serial, bus, removable, readOnly, backingFile } = device
  const partitions = [...devices.byName.values()].filter(({ wholeDrive }) => wholeDrive === device.name)
  return {
    path,
    size,
    sectorSize,
    model,
    serial,
    bus,
    removable,
    readOnly,
    partitions: partitions.sort(byName).map(({ path, size, label, fileSystem }) => ({
      path,
      size,
      label,
      fileSystem,
    })),
    mounts,
    holders: stack
      .filter((member) => member !== device && !partitions.includes(member))
      .map((member) => member.path),
    swap: devices.swaps.some((swap) => stack.some((member) => names(member, swap))),
    system: mounts.some(({ target }) => isSystemFolder(target)),
    backingFile,
  }
}

const byName = (a: BlockDevice, b: BlockDevice): number =>
  a.name.localeCompare(b.name, 'en', { numeric: true })

/** The device, its partitions, and all that uses one of them, however indirectly. */
function stackOn({ byName, btrfs }: LinuxDevices, device: BlockDevice): BlockDevice[] {
  const all = [...byName.values()]
  const stack = new Set([device])
  // A set grows while it is walked: what is added is visited, too.
  for (const member of stack) {
    const above = all.filter(
      (other) =>
        other.wholeDrive === member.name ||
        member.holders.includes(other.name) ||
        other.slaves.includes(member.name) ||
        isLoopOver(other, member),
    )
    for (const other of above) stack.add(other)
  }
  for (const members of btrfs) {
    if (![...stack].some(({ name }) => members.includes(name))) continue
    // A mount of the file system may name any of its members.
    for (const name of members) {
      const other = byName.get(name)
      if (other !== undefined) stack.add(other)
    }
  }
  return [...stack]
}

/** A loop device over this device, or a second one over the same file. */
function isLoopOver(loop: BlockDevice, member: BlockDevice): boolean {
  if (loop === member || loop.backingFile === undefined) return false
  return loop.backingFile === member.backingFile || names(member, loop.backingFile)
}

function mountsOf({ mounts }: LinuxDevices, stack: readonly BlockDevice[]): Mount[] {
  const found = mounts
    .filter(({ device, source }) =>
      stack.some((member) => member.number === device || (device.startsWith('0:') && names(member, source))),
    )
    .map(({ source, target }) => ({ source, target }))
  return found.filter(
    ({ source, target }, index) =>
      index === found.findIndex((other) => other.source === source && other.target === target),
  )
}

/** Whether a path that the kernel reports means this device. */
function names(device: BlockDevice, path: string): boolean {
  if (path === device.path || path === `/dev/${device.name}`) return true
  if (!path.startsWith('/dev/')) return false
  try {
    return realpathSync.native(path) === `/dev/${device.name}`
  } catch {
    return false
  }
}

/** What must not be pulled from under the running system, wherever else it may be mounted as well. */
const isSystemFolder = (target: string): boolean =>
  /^\/($|boot($|\/)|efi($|\/)|usr($|\/)|var($|\/)|home$|etc($|\/)|nix($|\/))/.test(target)
