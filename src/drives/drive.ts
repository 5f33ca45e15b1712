/** A whole drive as the operating system lists it: what a person needs to tell two apart, and what forbids writing it. */

export type Bus = 'usb' | 'mmc' | 'nvme' | 'sata' | 'scsi' | 'virtio' | 'loop' | 'other'

export interface Mount {
  /** What is mounted: `/dev/sda1`, `/dev/mapper/vg-home`. */
  source: string
  /** Where: `/media/me/bootfs`. */
  target: string
}

export interface DrivePartition {
  /** `/dev/sda1` */
  path: string
  /** Bytes. */
  size: number
  /** Name of the file system on it, where the system knows it. */
  label?: string
  /** `vfat`, `ext4`, …, where the system knows it. */
  fileSystem?: string
}

export interface Drive {
  /** `/dev/sda`, `/dev/mmcblk0`, `/dev/disk2`, `\\\\.\\PhysicalDrive1`. */
  path: string
  /** Bytes; 0: the system does not say. */
  size: number
  /** Logical sector, bytes: 512 for every card a Pi can boot from; 0: the system does not say. */
  sectorSize: number
  model?: string
  serial?: string
  bus: Bus
  /** A card, a stick, or anything else that is made to be taken out. */
  removable: boolean
  /** Built in, and not a card's slot: never written, whatever else is true of it. */
  internal: boolean
  /** Made by this system out of a file or of other drives: a disk image, a container, a set. */
  virtual: boolean
  /** The system mounts every card that is put in by itself; unmounting it is part of writing it. */
  autoUnmount: boolean
  /** Facts that decide and that the system did not tell, in its own words; any of them forbids writing. */
  unknown: string[]
  readOnly: boolean
  /** Name of a file system on the drive itself, not on a partition of it. */
  label?: string
  /** What lies on the drive itself: `ext4`, `LUKS`, `LVM`, … */
  fileSystem?: string
  partitions: DrivePartition[]
  /** Of the drive and of everything that stands on it: partitions, LVM, RAID, encryption, loop devices. */
  mounts: Mount[]
  /** What else stands on it, by path: `/dev/mapper/vg-root`, `/dev/md0`, `/dev/loop3`. */
  holders: string[]
  /** What it is one part of, in words: `the APFS container disk5 (Backups)`, `a btrfs file system together with /dev/sdb`. */
  memberOf: string[]
  /** Programs that have it open for writing, in words: `process 812 (qemu-system-x86)`. */
  writers: string[]
  /** It, or something on it, is swap space in use. */
  swap: boolean
  /** The running system starts from it or lives on it. */
  system: boolean
  /** Of a loop device: the file (or device) behind it. */
  backingFile?: string
  /** That file by device and inode number, for it may have many names; by its path where it can't be reached. */
  backing?: string
  /** `major:minor`, on Linux. */
  number?: string
  /** The kernel's own number of this medium, never given twice: `diskseq` on Linux, the I/O Registry's entry ID on macOS. */
  sequence?: string
}
