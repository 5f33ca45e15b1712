/**
 * How much a drive's driver takes at once. The kernel cuts a request into
 * commands of `max_sectors_kb` and queues `nr_requests` of them; what is handed
 * over beyond that only waits outside, and can't be stopped any more. A card
 * reader on USB may take two commands of 120 KiB, an MMC host or an SSD tens of
 * megabytes.
 * Source: Linux Documentation/ABI/stable/sysfs-block.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { KiB } from '../units.ts'

/** @returns bytes; undefined where the system does not say (macOS) */
export function readQueueBytes(drive: string, root = '/'): number | undefined {
  try {
    const name = basename(realpathSync.native(drive))
    const limit = (file: string) =>
      Number(readFileSync(join(root, 'sys/class/block', name, 'queue', file), 'utf8'))
    const bytes = limit('nr_requests') * limit('max_sectors_kb') * KiB
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
  } catch {
    return undefined
  }
}
