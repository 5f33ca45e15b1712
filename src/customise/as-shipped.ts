/**
 * A boot partition that an earlier plan has changed, seen as the image shipped
 * it. A new plan is made over that, so a card changed from oneil to carter ends
 * with the files of a card that was carter from the start. A file that somebody
 * changed since (the system at its first boot, a person) is not ours to take
 * back: it is planned over as it is, the command line without what we added to it.
 */
import { type BootFiles, bytesOf, readText } from '../boot/boot-files.ts'
import { editCmdline, isInitShell, parseCmdline, withoutTrigger } from '../boot/cmdline-txt.ts'
import { PAYLOAD, SAVED_CMDLINE } from '../boot/payload-paths.ts'
import { digestOf, type Earlier, RECEIPT_FILE } from './receipt.ts'

/** @param line path of the kernel's command line */
export async function asShipped(boot: BootFiles, earlier: Earlier, line: string): Promise<BootFiles> {
  const files = new Map<string, { path: string; content: Uint8Array | undefined }>()
  const put = (path: string, content: Uint8Array | undefined) =>
    files.set(path.toLowerCase(), { path, content })
  put(RECEIPT_FILE, undefined)
  for (const [path, stock] of Object.entries(earlier.stock)) {
    if (typeof stock === 'object' && stock !== null) continue
    const written = earlier.files[path]
    // A file with a secret has no digest in the receipt; it is always written whole.
    if (written !== undefined && digestOf(await boot.read(path)) !== written) continue
    put(path, stock === null ? undefined : bytesOf(stock))
  }
  if (!files.has(line.toLowerCase())) put(line, await ownCmdline(boot, earlier, line))
  return {
    partition: boot.partition,
    read: async (path) => {
      const key = path.toLowerCase()
      const file = files.get(key)
      if (file !== undefined) return file.content
      return isOwn(key) ? undefined : boot.read(path)
    },
    list: async (folder) => {
      if (isOwn(folder.toLowerCase())) return []
      const prefix = folder === '' ? '' : `${folder.toLowerCase()}/`
      const entries = (await boot.list(folder)).filter(
        ({ name, directory }) =>
          !isOwn(`${prefix}${name.toLowerCase()}`) &&
          (directory || !files.has(`${prefix}${name.toLowerCase()}`)),
      )
      for (const [key, { path, content }] of files) {
        const name = path.slice(prefix.length)
        if (content !== undefined && key.startsWith(prefix) && !name.includes('/'))
          entries.push({ name, directory: false })
      }
      return entries
    },
  }
}

/** Our own folder is no image's. */
const isOwn = (key: string): boolean => key === PAYLOAD || key.startsWith(`${PAYLOAD}/`)

/** @returns as it is when nothing of ours is in it */
async function ownCmdline(
  boot: BootFiles,
  { cmdline }: Earlier,
  line: string,
): Promise<Uint8Array | undefined> {
  const text = await readText(boot, line)
  if (text === undefined) return undefined
  const tokens = parseCmdline(text)
  const saved = isInitShell(tokens) ? parseCmdline((await readText(boot, SAVED_CMDLINE)) ?? '') : tokens
  const own = withoutTrigger(editCmdline(saved, { remove: cmdline }))
  return own.length === tokens.length ? boot.read(line) : bytesOf(`${own.join(' ')}\n`)
}
