/**
 * autoboot.txt: which partition a board boots from. It is read from the first
 * FAT partition, before config.txt, and knows three filters: `[all]`, `[none]`
 * and `[tryboot]`.
 *
 * Source: Raspberry Pi documentation, "autoboot.txt".
 */

export const AUTOBOOT = 'autoboot.txt'

export interface Autoboot {
  /** From 1; undefined: the file names none, and the board stays where it is. */
  partition?: number
  /** What it boots once after `reboot '0 tryboot'`. */
  tryPartition?: number
}

/** The firmware reads no more of the file. */
const MAX_BYTES = 512

export function readAutoboot(bytes: Uint8Array): Autoboot {
  const text = Buffer.from(bytes.subarray(0, MAX_BYTES)).toString('latin1')
  const found: Autoboot = {}
  let section = 'all'
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '').trim()
    section = /^\[([^\]]*)\]/.exec(line)?.[1]?.trim().toLowerCase() ?? section
    const number = /^boot_partition\s*=\s*(\d+)$/.exec(line)?.[1]
    // 0 stands for the default, which is where this file lies.
    if (number === undefined || number === '0') continue
    if (section === 'all') found.partition = Number(number)
    if (section === 'all' || section === 'tryboot') found.tryPartition = Number(number)
  }
  return found
}
