/** Sizes. Bytes are the unit everywhere; what counts in sectors says so in its name. */

/** The sector of MBR, FAT and every SD card (a card in 4 KiB-sector mode is refused). */
export const SECTOR_BYTES = 512
export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

/** `517 981 172` → `518.0 MB`: decimal units, as card makers and publishers count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`
}

/** Round `value` down / up to a multiple of `step` (exact below 2^53; never use `<<` or `|` on offsets). */
export const alignDown = (value: number, step: number): number => value - (value % step)
export const alignUp = (value: number, step: number): number => alignDown(value + step - 1, step)
