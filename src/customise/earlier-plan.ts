/**
 * Planning over a boot partition that an earlier plan has changed.
 *
 * The receipt of the earlier plan says which files it changed and how the image
 * had them. So the partition is first seen as the image shipped it, the new
 * plan is made over that, and the result is compared with what really lies
 * there: a card changed from oneil to carter ends with the files of a card that
 * was carter from the start. A file that somebody changed since (the system at
 * its first boot, a person) is not ours to take back: it is planned over as it is.
 */
import { type BootFiles, listTree } from '../boot/boot-files.ts'
import { PAYLOAD } from '../boot/payload-paths.ts'
import { sha256 } from '../digest.ts'
import { findSecrets } from './find-secrets.ts'
import { type BootPlan, type BootRequest, type FileChange, planBoot } from './plan-boot.ts'
import { parseReceipt, RECEIPT_FILE, type Receipt, type ReceiptFacts, withReceipt } from './receipt.ts'

/** `planBoot` with a receipt, whatever was planned before. @throws as planBoot */
export async function planNode(request: BootRequest, facts: ReceiptFacts): Promise<BootPlan> {
  const { boot } = request
  const earlier = await readReceipt(boot)
  const shipped = await asShipped(boot, earlier)
  const plan = withReceipt(await planBoot({ ...request, boot: shipped }), facts)
  return compareWith(boot, plan, shipped, earlier)
}

/** The partition as the image had it. */
export async function asShipped(boot: BootFiles, receipt: Receipt | undefined): Promise<BootFiles> {
  const files = new Map<string, { path: string; content: Uint8Array | undefined }>()
  for (const [path, stock] of Object.entries(receipt?.stock ?? {})) {
    if (typeof stock === 'object' && stock !== null) continue
    const written = receipt?.files[path]
    // A file with a secret has no digest in the receipt; it is always written whole.
    if (written !== undefined && digestOf(await boot.read(path)) !== written) continue
    files.set(path.toLowerCase(), {
      path,
      content: stock === null ? undefined : new TextEncoder().encode(stock),
    })
  }
  // Our own folder is no image's. Of a command line that stays as it is, node.json says which tokens are ours.
  const isHidden = (key: string): boolean =>
    isOwn(key) && (key !== `${PAYLOAD}/node.json` || files.has('cmdline.txt'))
  return {
    read: async (path) => {
      const key = path.toLowerCase()
      const file = files.get(key)
      if (file !== undefined) return file.content
      return isHidden(key) ? undefined : boot.read(path)
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

const isOwn = (key: string): boolean => key === PAYLOAD || key.startsWith(`${PAYLOAD}/`)

async function compareWith(
  boot: BootFiles,
  plan: BootPlan,
  shipped: BootFiles,
  earlier: Receipt | undefined,
): Promise<BootPlan> {
  const wanted = new Map<string, { path: string; after: Uint8Array | null }>()
  // What the node itself wrote there when something failed.
  for (const path of await listTree(boot, PAYLOAD))
    if (!path.toLowerCase().startsWith(`${PAYLOAD}/log/`))
      wanted.set(path.toLowerCase(), { path, after: null })
  for (const path of Object.keys(earlier?.stock ?? {}))
    wanted.set(path.toLowerCase(), { path, after: (await shipped.read(path)) ?? null })
  for (const { path, after } of plan.files) wanted.set(path.toLowerCase(), { path, after })
  const files: FileChange[] = []
  const secrets = new Set(plan.secrets)
  for (const { path, after } of wanted.values()) {
    const before = (await boot.read(path)) ?? null
    if (sameBytes(before, after)) continue
    files.push({ path, before, after })
    if (before === null) continue
    const text = new TextDecoder().decode(before)
    const lines = path.startsWith(`${PAYLOAD}/secrets/`) ? text.split('\n') : findSecrets(text)
    for (const secret of lines) if (secret.trim() !== '') secrets.add(secret)
  }
  const warnings = [...plan.warnings, ...(await unkept(boot, earlier, wanted))]
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { ...plan, files, secrets: [...secrets].sort(), warnings }
}

/** Files of the image that an earlier plan replaced and could not keep a copy of. */
async function unkept(
  boot: BootFiles,
  earlier: Receipt | undefined,
  wanted: ReadonlyMap<string, { after: Uint8Array | null }>,
): Promise<string[]> {
  const lost: string[] = []
  for (const [path, stock] of Object.entries(earlier?.stock ?? {})) {
    if (typeof stock !== 'object' || stock === null) continue
    const { after } = wanted.get(path.toLowerCase()) ?? { after: null }
    if (after !== null && sameBytes(after, (await boot.read(path)) ?? null))
      lost.push(`${path} stays as the plan for ${earlier?.node} left it: the image's own is not on the card`)
  }
  return lost
}

const digestOf = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined ? null : sha256(bytes)

const sameBytes = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : Buffer.compare(a, b) === 0

/** The receipt on a partition, if there is one. */
export async function readReceipt(boot: BootFiles): Promise<Receipt | undefined> {
  const bytes = await boot.read(RECEIPT_FILE)
  return bytes === undefined ? undefined : parseReceipt(bytes)
}
