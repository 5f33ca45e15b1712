/**
 * Block devices as Linux shows them under /sys: drives, partitions, and what
 * stands on what (LVM, RAID and encryption by `holders/`, loop devices by
 * their backing file).
 *
 * Everything is read from files; nothing is spawned and no device is opened.
 * `root` is where `/sys`, `/proc` and `/run` are found, so that the recorded
 * tree of another machine can be read as well.
 * Source: Linux Documentation/ABI/stable/sysfs-block, Documentation/driver-api/usb (serial).
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { formatDeviceNumber } from './device-number.ts'
import type { Bus } from './drive.ts'

/** The kernel counts `size` in these, whatever the drive's own sectors are. */
const SYSFS_SECTOR_BYTES = 512

export interface BlockDevice {
  /** Kernel name: `sda1`, `dm-0`. */
  name: string
  /** `/dev/sda1`, `/dev/mapper/vg-root`. */
  path: string
  /** `major:minor` */
  number: string
  size: number
  sectorSize: number
  readOnly: boolean
  bus: Bus
  removable: boolean
  model?: string
  serial?: string
  /** Of a partition: the drive's kernel name. */
  wholeDrive?: string
  /** Kernel names of what uses it directly. */
  holders: string[]
  /** Kernel names of what it is made of (LVM, RAID). */
  slaves: string[]
  /** Of a loop device. */
  backingFile?: string
  /** That file by device and inode number, or by its path where it can't be reached. */
  backing?: string
  /** Of a whole drive: the kernel's number of this medium, never given twice (since Linux 5.15). */
  sequence?: string
  label?: string
  fileSystem?: string
  /** What the members of a set share that it is one of (./signatures.ts). */
  set?: string
}

/** Every block device with a size, by kernel name. */
export function readBlockDevices(root: string): Map<string, BlockDevice> {
  const devices = new Map<string, BlockDevice>()
  for (const name of listFolder(join(root, 'sys/class/block'))) {
    const device = readBlockDevice(root, name)
    if (device !== undefined && device.size > 0) devices.set(name, device)
  }
  return devices
}

function readBlockDevice(root: string, name: string): BlockDevice | undefined {
  const folder = realFolder(join(root, 'sys/class/block', name))
  const number = folder === undefined ? undefined : readText(folder, 'dev')
  if (folder === undefined || number === undefined) return undefined
  const isPartition = existsSync(join(folder, 'partition'))
  const drive = isPartition ? dirname(folder) : folder
  const bus = busOf(basename(drive), drive)
  const udev = readUdev(root, number)
  const mapperName = readText(folder, 'dm/name')
  const backingFile = readText(folder, 'loop/backing_file')
  return {
    name,
    path: mapperName === undefined ? `/dev/${name.replaceAll('!', '/')}` : `/dev/mapper/${mapperName}`,
    number,
    size: Number(readText(folder, 'size') ?? 0) * SYSFS_SECTOR_BYTES,
    sectorSize: Number(readText(drive, 'queue/logical_block_size') ?? SYSFS_SECTOR_BYTES),
    readOnly: readText(folder, 'ro') === '1' || readText(drive, 'ro') === '1',
    bus,
    removable:
      bus === 'usb' || readText(drive, 'removable') === '1' || readText(drive, 'device/type') === 'SD',
    model: modelOf(drive),
    serial: serialOf(drive),
    wholeDrive: isPartition ? basename(drive) : undefined,
    backingFile,
    backing: backingFile === undefined ? undefined : fileBehind(backingFile),
    sequence: readText(folder, 'diskseq'),
    label: udev.get('ID_FS_LABEL'),
    fileSystem: udev.get('ID_FS_TYPE'),
    holders: listFolder(join(folder, 'holders')),
    slaves: listFolder(join(folder, 'slaves')),
  }
}

function fileBehind(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${formatDeviceNumber(dev)}:${ino}`
  } catch {
    return path
  }
}

/** @param folder where the device really is: `…/sys/devices/pci…/usb1/…/block/sda` */
function busOf(name: string, folder: string): Bus {
  const path = folder.slice(folder.lastIndexOf('/sys/devices/'))
  if (/^loop\d/.test(name)) return 'loop'
  if (/\/usb\d+\//.test(path)) return 'usb'
  if (/\/mmc_host\//.test(path)) return 'mmc'
  if (/^nvme/.test(name)) return 'nvme'
  if (/\/virtio\d+\//.test(path)) return 'virtio'
  if (/\/ata\d+\//.test(path)) return 'sata'
  return /^sd/.test(name) ? 'scsi' : 'other'
}

function modelOf(drive: string): string | undefined {
  const vendor = readText(drive, 'device/vendor')
  const model = readText(drive, 'device/model') ?? readText(drive, 'device/name')
  // Behind virtio and SATA the vendor is a number or the word ATA, which says nothing.
  const said = vendor === undefined || /^(0x|ATA$)/.test(vendor) ? model : `${vendor} ${model ?? ''}`.trim()
  return said === '' ? undefined : said
}

/** The drive's own serial, or that of the USB device it sits in. */
function serialOf(drive: string): string | undefined {
  const own = readText(drive, 'device/serial') ?? readText(drive, 'serial')
  if (own !== undefined) return own
  for (
    let folder = dirname(drive);
    basename(folder) !== 'devices' && folder !== '/';
    folder = dirname(folder)
  )
    if (existsSync(join(folder, 'idVendor'))) return readText(folder, 'serial')
  return readVpdSerial(drive)
}

/** SCSI and SATA drives: vital product data page 0x80, four bytes of header, then the serial. */
function readVpdSerial(drive: string): string | undefined {
  try {
    const text = readFileSync(join(drive, 'device/vpd_pg80')).subarray(4).toString('latin1')
    return text.replaceAll('\0', '').trim() || undefined
  } catch {
    return undefined
  }
}

/** What udev has found out about a device, where udev runs: `E:NAME=value` lines. */
function readUdev(root: string, number: string): Map<string, string> {
  const text = readText(join(root, 'run/udev/data'), `b${number}`) ?? ''
  const pairs = [...text.matchAll(/^E:([A-Z0-9_]+)=(.*)$/gm)]
  return new Map(pairs.map(([, name, value]) => [name ?? '', value ?? '']))
}

/**
 * Members of btrfs file systems. Only one member of several shows in
 * mountinfo; the others are in use as much.
 * @returns sets of kernel names
 */
export function readBtrfsMembers(root: string): string[][] {
  const folder = join(root, 'sys/fs/btrfs')
  return listFolder(folder)
    .map((id) => listFolder(join(folder, id, 'devices')))
    .filter((names) => names.length > 0)
}

/** Trimmed content of a small file; undefined: absent, unreadable or empty. */
function readText(folder: string, name: string): string | undefined {
  try {
    return readFileSync(join(folder, name), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}

function realFolder(path: string): string | undefined {
  try {
    return realpathSync.native(path)
  } catch {
    return undefined
  }
}
