/** A drive in words a person can tell two apart by. */
import type { Receipt } from '../customise/receipt.ts'
import type { Drive } from '../drives/drive.ts'
import { listContents } from '../drives/list-contents.ts'
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'

/** `31.9 GB, USB, Generic SD/MMC, serial 2012…; bootfs, rootfs; mounted at /media/me/bootfs` */
export function describeDrive(drive: Drive, was?: Receipt): string {
  const what = [formatBytes(drive.size), drive.bus === 'other' ? '' : drive.bus, drive.model ?? '']
  if (drive.serial !== undefined) what.push(`serial ${drive.serial}`)
  if (drive.backingFile !== undefined) what.push(`over ${drive.backingFile}`)
  const contents = listContents(drive).map(({ name }) => name)
  const parts = [what.filter((word) => word !== '').join(', ')]
  if (was !== undefined)
    parts.push(quoteLine(`the card of ${was.node} (cluster ${was.cluster}${imageOf(was)})`))
  if (contents.length > 0) parts.push(`holds ${contents.join(', ')}`)
  if (drive.mounts.length > 0)
    parts.push(`mounted at ${drive.mounts.map((mount) => mount.target).join(', ')}`)
  return parts.join('; ')
}

const imageOf = ({ image }: Receipt): string => (image === undefined ? '' : `, ${image.key}`)
