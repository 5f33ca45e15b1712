/** Drives on Linux: sysfs for what there is, mountinfo and swaps for what is in use. */
import { execFile } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type MountEntry, parseMountinfo, parseSwaps } from '../io/mountinfo.ts'
import { readSignatures } from './contents.ts'
import type { Drive, Mount } from './drive.ts'
import { type BlockDevice, readBlockDevices, readBtrfsMembers } from './sysfs.ts'
import { listWriters } from './writers.ts'

const runFile = promisify(execFile)

/** The machine's block devices and their use, at one moment. */
export interface LinuxDevices {
  byName: Map<string, BlockDevice>
  mounts: MountEntry[]
  /** Kernel names or paths of files. */
  swaps: string[]
  btrfs: string[][]
  /** Where open files of processes are looked for; undefined: nowhere. */
  proc?: string
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

/**
 * Which file is behind a loop device whose file has no name any more (removed,
 * or out of reach here): sysfs says only a path, the kernel says more to root.
 */
export async function nameLostFiles(devices: LinuxDevices): Promise<LinuxDevices> {
  const lost = [...devices.byName.values()].filter(isLost)
  if (lost.length === 0) return devices
  const columns = ['NAME', 'BACK-MAJ:MIN', 'BACK-INO']
  const listed = await runFile('losetup', ['--list', '--noheadings', '--raw', '--output', columns.join()], {
    timeout: 5000,
  }).catch(() => ({ stdout: '' }))
  const files = new Map(
    listed.stdout.split('\n').map((line) => {
      const [path = '', device, inode] = line.trim().split(/\s+/)
      return [path, inode === undefined || inode === '0' ? undefined : `${device}:${inode}`]
    }),
  )
  for (const loop of lost) loop.backing = files.get(loop.path) ?? loop.backing
  return devices
}

const isLost = ({ backing, backingFile }: BlockDevice): boolean =>
  backing !== undefined && backing === backingFile

/** Never read: memory, and what a look may spin up or wait for. */
const NOT_READ = /^(ram|zram|sr|fd|nbd)\d/

/**
 * Fill in what the devices themselves say lies on them. udev's word stays where they can't be read.
 * @param name of the drive that matters: others are read only where it is one of a set; undefined: all of them
 */
export async function readContents(devices: LinuxDevices, name?: string): Promise<void> {
  const all = [...devices.byName.values()].filter((device) => !NOT_READ.test(device.name))
  const ours = all.filter(
    (device) => name === undefined || device.name === name || device.wholeDrive === name,
  )
  const isPartitioned = ({ name }: BlockDevice) => all.some(({ wholeDrive }) => wholeDrive === name)
  const fill = async (device: BlockDevice) => {
    // What stood on a drive before it was partitioned may have left marks.
    const [first] = isPartitioned(device) ? [] : await readSignatures(device.path, device.size)
    if (first !== undefined)
      Object.assign(device, { fileSystem: first.type, label: first.label, set: first.set })
  }
  await Promise.all(ours.map(fill))
  if (ours.some(({ set }) => set !== undefined))
    await Promise.all(all.filter((device) => !ours.includes(device)).map(fill))
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
  const { path, size, sectorSize, model, serial, bus, removable, readOnly } = device
  const partitions = [...devices.byName.values()].filter(({ wholeDrive }) => wholeDrive === device.name)
  const onDrive = [device, ...partitions]
  return {
    path,
    size,
    sectorSize,
    model,
    serial,
    bus,
    removable,
    // A second disk may be what was meant: it is named by its serial then.
    internal: false,
    virtual: false,
    autoUnmount: false,
    unknown: [],
    readOnly,
    label: device.label,
    fileSystem: device.fileSystem,
    partitions: partitions
      .sort(byName)
      .map(({ path, size, label, fileSystem }) => ({ path, size, label, fileSystem })),
    mounts,
    holders: stack.filter((member) => !onDrive.includes(member)).map((member) => member.path),
    memberOf: onDrive.flatMap((part) => describeSet(devices, part, stack) ?? []),
    writers:
      devices.proc === undefined
        ? []
        : listWriters(
            stack.map(({ number }) => number),
            devices.proc,
          ),
    swap: devices.swaps.some((swap) => stack.some((member) => names(member, swap))),
    system: mounts.some(({ target }) => isSystemFolder(target)),
    backingFile: device.backingFile,
    backing: device.backing,
    number: device.number,
    sequence: device.sequence,
  }
}

/** In words, of a member of a set whose other members are here. */
function describeSet(
  devices: LinuxDevices,
  part: BlockDevice,
  stack: readonly BlockDevice[],
): string | undefined {
  if (part.set === undefined) return undefined
  const others = [...devices.byName.values()].filter(
    (other) => other.set === part.set && other.fileSystem === part.fileSystem && !stack.includes(other),
  )
  if (others.length === 0) return undefined
  const name = part.label === undefined ? '' : ` "${part.label}"`
  return `${SETS[part.fileSystem ?? ''] ?? 'a set'}${name}, together with ${others.map(({ path }) => path).join(', ')}`
}

const SETS: Record<string, string> = {
  btrfs: 'a btrfs file system',
  LVM2_member: 'the LVM volume group',
  linux_raid_member: 'a RAID array',
  zfs_member: 'the ZFS pool',
  bcache: 'a bcache set',
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
  if (loop.backing === member.backing || names(member, loop.backingFile)) return true
  // A file that nobody could name can't be told from another one of its size.
  return (isLost(loop) || isLost(member)) && member.backing !== undefined && loop.size === member.size
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
