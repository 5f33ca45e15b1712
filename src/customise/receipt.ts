/**
 * `piimage-receipt.json` on the boot partition: what this card is, for people
 * and for `piimage inspect`. No secrets, no clock: the same plan gives the same
 * receipt.
 */
import { PAYLOAD } from '../boot/payload-paths.ts'
import { sha256 } from '../digest.ts'
import { KiB } from '../units.ts'
import { findSecrets } from './find-secrets.ts'
import type { BootPlan, FileChange } from './plan-boot.ts'

export const RECEIPT_FILE = 'piimage-receipt.json'

export interface Receipt {
  receiptVersion: 1
  cluster: string
  node: string
  /** Missing on a card that piimage changed but did not write. */
  image?: { key: string; extractedSha256: string; extractedSize: number }
  os: string
  /** The piimage that wrote it. */
  piimage: string
  /** sha256 of each file as it was written, those with secrets left out; null for one that was removed. */
  files: Record<string, string | null>
  /** How the image had those outside piimage/, so that another plan can start from there. */
  stock: Record<string, StockFile>
}

/** A text; null: the image has no such file; `kept: false`: too large, no text, or with a secret in it. */
export type StockFile = string | null | { kept: false }

export type ReceiptFacts = Omit<Receipt, 'receiptVersion' | 'files' | 'os' | 'stock'>

/** Boot files that plans replace are a few hundred bytes; config.txt has been seen with 4 KB. */
const LARGEST_STOCK = 16 * KiB

/** The plan, which starts from the image, with its receipt as one more file. */
export function withReceipt(plan: BootPlan, facts: ReceiptFacts): BootPlan {
  const files = Object.fromEntries(
    plan.files.filter((file) => !holdsSecret(file, plan.secrets)).map((file) => [file.path, digestOf(file)]),
  )
  const receipt: Receipt = {
    receiptVersion: 1,
    cluster: facts.cluster,
    node: facts.node,
    image: facts.image,
    os: `${plan.os.family} ${plan.os.release}`,
    piimage: facts.piimage,
    files,
    stock: Object.fromEntries(
      plan.files
        .filter(({ path }) => !path.startsWith(`${PAYLOAD}/`))
        .map(({ path, before }) => [path, stockFile(before)]),
    ),
  }
  const after = new TextEncoder().encode(`${JSON.stringify(receipt, null, 2)}\n`)
  return { ...plan, files: [...plan.files, { path: RECEIPT_FILE, before: null, after }] }
}

function stockFile(before: Uint8Array | null): StockFile {
  if (before === null) return null
  const text = Buffer.from(before).toString('utf8')
  const same = before.length <= LARGEST_STOCK && Buffer.compare(Buffer.from(text), before) === 0
  return same && findSecrets(text).length === 0 ? text : { kept: false }
}

const digestOf = ({ after }: FileChange): string | null => (after === null ? null : sha256(after))

/** A digest that stays on the card lets anybody try pass phrases against it. */
function holdsSecret({ path, after }: FileChange, secrets: readonly string[]): boolean {
  if (path.startsWith(`${PAYLOAD}/secrets/`)) return true
  const text = Buffer.from(after ?? []).toString('latin1')
  return secrets.some((secret) => text.includes(Buffer.from(secret).toString('latin1')))
}

/** @returns undefined when the bytes are no receipt of a version this piimage knows */
export function parseReceipt(bytes: Uint8Array): Receipt | undefined {
  try {
    const receipt = JSON.parse(new TextDecoder().decode(bytes)) as Receipt
    return receipt.receiptVersion === 1 ? receipt : undefined
  } catch {
    return undefined
  }
}
