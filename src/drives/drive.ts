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
  /** `/dev/sda`, `/dev/mmcblk0`, `/dev/disk2`. */
  path: string
  /** Bytes. */
  size: number
  /** Logical sector, bytes: 512 for every card a Pi can boot from. */
  sectorSize: number
  model?: string
  serial?: string
  bus: Bus
  /** A card, a stick, or anything else that is made to be taken out. */
  removable: boolean
  readOnly: boolean
  partitions: DrivePartition[]
  /** Of the drive and of everything that stands on it: partitions, LVM, RAID, encryption, loop devices. */
  mounts: Mount[]
  /** What else stands on it, by path: `/dev/mapper/vg-root`, `/dev/md0`, `/dev/loop3`. */
  holders: string[]
  /** It, or something on it, is swap space in use. */
  swap: boolean
  /** The running system starts from it or lives on it. */
  system: boolean
  /** Of a loop device: the file (or device) behind it. */
  backingFile?: string
}
