/**
 * Under which names a board looks for its files.
 *
 * Boards with a Pi 3's boot ROM or later ask for `<serial>/…`, the low 32 bits
 * of their serial number in 8 hex digits. A Pi 1 or 2 asks for no folder; with
 * dnsmasq's `tftp-unique-root=mac` it is served from `<mac-with-dashes>/`, and
 * so is any other board that has such a folder.
 *
 * Source: Raspberry Pi documentation, "Network boot"; dnsmasq(8).
 */
import { boards } from '../cluster/boards.ts'
import type { Netroot, Node } from '../cluster/node.ts'

export interface TftpNames {
  names: string[]
  /** Why the node will not be found, or will be found otherwise than asked. */
  warning?: string
}

/** Low 32 bits, 8 lower-case hex digits. */
export const shortSerial = (serial: string): string => serial.slice(-8)

export function tftpNames(node: Node, layout: Netroot['layout']): TftpNames {
  const serial = node.serial === undefined ? undefined : shortSerial(node.serial)
  const mac = node.mac?.replaceAll(':', '-')
  const byMac = layout === 'mac' || boards[node.model].netboot === 'bootcode'
  const name = byMac ? mac : serial
  if (name !== undefined) return { names: [name] }
  const missing = byMac ? 'MAC address' : 'serial number'
  const other = byMac ? serial : mac
  if (other !== undefined && boards[node.model].netboot !== 'bootcode')
    return {
      names: [other],
      warning: `${node.name} has no ${missing} in the cluster file, so its files lie under ${other}`,
    }
  return {
    names: [],
    warning: `${node.name} can't be found yet: give its ${missing}, or power it on and see piimage netroot status`,
  }
}
