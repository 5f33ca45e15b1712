/**
 * cpio archives of the form `newc`: what the kernel unpacks into its first file
 * system. Headers are eight hex digits per field; names and contents are padded
 * to four bytes.
 *
 * Not here: reading them; hard links.
 * Source: Linux, "initramfs buffer format".
 */

export interface CpioEntry {
  /** Without a slash in front. */
  path: string
  /** As in stat(2): permissions and the type. */
  mode: number
  content?: Uint8Array
}

export const FILE = 0o100000
export const FOLDER = 0o040000
export const LINK = 0o120000
/** Device 0:0, which stands for a removed file in an overlay. */
export const WHITEOUT = 0o020000

const ALIGN = 4

/** Everything belongs to root. @param seconds modification time of all entries */
export function formatCpio(entries: readonly CpioEntry[], seconds: number): Buffer {
  const parts = entries.map((entry, index) => record(entry, index + 1, seconds))
  return Buffer.concat([...parts, record({ path: 'TRAILER!!!', mode: 0 }, 0, 0)])
}

function record({ path, mode, content = new Uint8Array() }: CpioEntry, ino: number, seconds: number): Buffer {
  const name = Buffer.from(`${path}\0`)
  const links = mode >= FOLDER && mode < 0o060000 ? 2 : 1
  const fields = [ino, mode, 0, 0, links, seconds, content.length, 0, 0, 0, 0, name.length, 0]
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return Buffer.concat([padded(Buffer.concat([head, name])), padded(content)])
}

/** To a multiple of four bytes. */
export const padded = (bytes: Uint8Array): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((ALIGN - (bytes.length % ALIGN)) % ALIGN)])
