/**
 * `piimage-receipt.json` on the boot partition: what this card is, for people
 * and for `piimage inspect`. No secrets, no clock: the same plan gives the same
 * receipt.
 */
import { createHash } from 'node:crypto'
import { PAYLOAD } from './payload-paths.ts'
import type { BootPlan, FileChange } from './plan-boot.ts'

export const RECEIPT_FILE = 'piimage-receipt.json'

export interface Receipt {
  receiptVersion: 1
  cluster: string
  node: string
  image: { key: string; extractedSha256: string; extractedSize: number }
  os: string
  /** The piimage that wrote it. */
  piimage: string
  /** sha256 of each file as it was written, those with secrets left out; null for one that was removed. */
  files: Record<string, string | null>
}

/** The plan with its receipt as one more file. */
export function withReceipt(
  plan: BootPlan,
  facts: Omit<Receipt, 'receiptVersion' | 'files' | 'os'>,
  before: Uint8Array | null,
): BootPlan {
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
  }
  const after = new TextEncoder().encode(`${JSON.stringify(receipt, null, 2)}\n`)
  return { ...plan, files: [...plan.files, { path: RECEIPT_FILE, before, after }] }
}

const digestOf = ({ after }: FileChange): string | null =>
  after === null ? null : createHash('sha256').update(after).digest('hex')

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
