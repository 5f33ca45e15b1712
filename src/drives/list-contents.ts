/** What lies on a drive, in words that a person knows it by. */
import type { Drive } from './drive.ts'

export interface Content {
  /** `FAMILYPHOTOS (btrfs)`, `LUKS`, `bootfs` */
  name: string
  label?: string
  /** As blkid or diskutil names it. */
  type: string
}

const WORDS: Record<string, string> = {
  crypto_LUKS: 'LUKS',
  LVM2_member: 'LVM',
  linux_raid_member: 'RAID',
  zfs_member: 'ZFS',
}

/** Of the drive itself, then of its partitions. */
export function listContents({ label, fileSystem, partitions }: Drive): Content[] {
  const word = (type: string) => WORDS[type] ?? type
  const whole =
    fileSystem === undefined
      ? []
      : [
          {
            name: label === undefined ? word(fileSystem) : `${label} (${word(fileSystem)})`,
            label,
            type: word(fileSystem),
          },
        ]
  const parts = partitions.flatMap(({ label, fileSystem = '' }) =>
    label === undefined && fileSystem === ''
      ? []
      : [{ name: label ?? word(fileSystem), label, type: word(fileSystem) }],
  )
  return [...whole, ...parts]
}
