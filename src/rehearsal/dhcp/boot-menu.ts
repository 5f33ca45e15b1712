/**
 * DHCP option 43 as a Pi reads it: a PXE menu with the entry "Raspberry Pi Boot".
 *
 * `06 01 03` discovery control: use this list, ask nobody. `0a 04 00 "PXE"` the
 * prompt. `09 LL 00 00 NN text` one menu entry of boot service 0. `ff` the end.
 * The first Pi 3B compares the text with three blanks after it; later boards
 * look for the words anywhere.
 *
 * Source: PXE 2.1 specification §2.2.1; Raspberry Pi documentation, "Known problems".
 */

const TEXT = 'Raspberry Pi Boot   '

/** What every Pi accepts. */
export const BOOT_MENU: Uint8Array = Buffer.concat([
  Buffer.from([6, 1, 3, 10, 4, 0]),
  Buffer.from('PXE'),
  Buffer.from([9, TEXT.length + 3, 0, 0, TEXT.length]),
  Buffer.from(TEXT),
  Buffer.of(255),
])

/** @returns what is wrong with a menu; undefined: it is the right one */
export function faultOfBootMenu(menu: Uint8Array): string | undefined {
  const bytes = Buffer.from(menu)
  if (bytes.equals(BOOT_MENU)) return undefined
  const text = bytes.toString('latin1')
  if (!text.includes(TEXT.trimEnd())) return `${describe(bytes)}, without "Raspberry Pi Boot"`
  if (!text.includes(TEXT)) return '"Raspberry Pi Boot" without the three blanks after it'
  return `${describe(bytes)}; expected ${describe(Buffer.from(BOOT_MENU))}`
}

const describe = (bytes: Buffer): string =>
  `${bytes.length} bytes ${bytes.subarray(0, 48).toString('hex')}${bytes.length > 48 ? '…' : ''}`
