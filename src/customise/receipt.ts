/**
 * `piimage-receipt.json` on the boot partition: what this card is, for people
 * and for `piimage inspect`; and what a plan changed on it, for the next one.
 * No secrets, no clock: the same plan gives the same receipt.
 */
import { type BootFiles, readText } from '../boot/boot-files.ts'
import { NODE_RECORD, PAYLOAD } from '../boot/payload-paths.ts'
import { sha256 } from '../digest.ts'
import type { DetectedOs } from '../node/system.ts'
import type { NotedSystem } from '../systems/detect.ts'
import { KiB } from '../units.ts'
import { findSecrets } from './find-secrets.ts'

export const RECEIPT_FILE = 'piimage-receipt.json'

export interface FileChange {
  /** From the partition's root. */
  path: string
  /** null: not there. */
  before: Uint8Array | null
  /** null: removed. */
  after: Uint8Array | null
}

export interface Receipt {
  receiptVersion: 1
  cluster: string
  node: string
  /** Missing on a card that piimage changed but did not write. */
  image?: ReceiptImage
  /** Family and release, with a space between. */
  os: string
  /** The piimage that wrote it. */
  piimage: string
  /** Parameters that were added to cmdline.txt: another plan takes them out first. Older receipts have none. */
  cmdline?: string[]
  /** sha256 of each file as it was written, those with secrets left out; null for one that was removed. */
  files: Record<string, string | null>
  /** How the image had those outside piimage/, so that another plan can start from there. */
  stock: Record<string, StockFile>
}

export interface ReceiptImage {
  key: string
  extractedSha256: string
  extractedSize: number
}

/** A text; null: the image has no such file; `kept: false`: too large, no text, or with a secret in it. */
export type StockFile = string | null | { kept: false }

export interface ReceiptInput {
  cluster: string
  node: string
  image?: ReceiptImage
  os: DetectedOs
  piimage: string
  cmdline: string[]
  /** From the image as it was shipped. */
  changes: readonly FileChange[]
  /** Of these, those of which nobody knows any more how the image had them. */
  unkept: ReadonlySet<string>
  /** What must not be in the receipt, not even as a digest. */
  secrets: readonly string[]
}

/** Boot files that plans replace are a few hundred bytes; config.txt has been seen with 4 KB. */
const LARGEST_STOCK = 16 * KiB

export function formatReceipt(input: ReceiptInput): Uint8Array {
  const { cluster, node, image, os, piimage, cmdline, changes, unkept, secrets } = input
  const receipt: Receipt = {
    receiptVersion: 1,
    cluster,
    node,
    image,
    os: `${os.family} ${os.release}`,
    piimage,
    cmdline,
    files: Object.fromEntries(
      changes
        .filter((change) => !holdsSecret(change, secrets))
        .map((change) => [change.path, digestOf(change.after)]),
    ),
    stock: Object.fromEntries(
      changes
        .filter(({ path }) => !path.startsWith(`${PAYLOAD}/`))
        .map(({ path, before }) => [path, unkept.has(path) ? { kept: false } : stockFile(before)]),
    ),
  }
  return new TextEncoder().encode(`${JSON.stringify(receipt, null, 2)}\n`)
}

function stockFile(before: Uint8Array | null): StockFile {
  if (before === null) return null
  const text = Buffer.from(before).toString('utf8')
  const same = before.length <= LARGEST_STOCK && Buffer.compare(Buffer.from(text), before) === 0
  return same && findSecrets(text).length === 0 ? text : { kept: false }
}

/** null: no file. */
export const digestOf = (bytes: Uint8Array | null | undefined): string | null =>
  bytes === null || bytes === undefined ? null : sha256(bytes)

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

/** The receipt on a partition, if there is one. */
export async function readReceipt(boot: BootFiles): Promise<Receipt | undefined> {
  const bytes = await boot.read(RECEIPT_FILE)
  return bytes === undefined ? undefined : parseReceipt(bytes)
}

/** What an earlier plan left on a partition, as far as another one has to know. */
export interface Earlier extends Pick<Receipt, 'files' | 'stock'> {
  /** Parameters of cmdline.txt that are not the image's. */
  cmdline: readonly string[]
  /** undefined: not known. */
  node?: string
  system?: NotedSystem
}

export async function readEarlier(boot: BootFiles): Promise<Earlier> {
  const bytes = await boot.read(RECEIPT_FILE)
  const receipt = bytes === undefined ? undefined : parseReceipt(bytes)
  if (receipt?.cmdline !== undefined)
    return { ...receipt, cmdline: receipt.cmdline, system: systemOf(receipt) }
  const record = await readOldRecord(boot)
  return receipt === undefined ? record : { ...receipt, cmdline: record.cmdline, system: systemOf(receipt) }
}

function systemOf({ os }: Receipt): NotedSystem {
  const [family = '', release = ''] = os.split(' ')
  return { family, release }
}

/** Files that an earlier plan replaced and could not keep a copy of. */
export const unkeptFiles = ({ stock }: Earlier): string[] =>
  Object.entries(stock).flatMap(([path, kept]) => (typeof kept === 'object' && kept !== null ? [path] : []))

/** Until receipts had the command line, node.json told what was added; before that, there were no receipts. */
async function readOldRecord(boot: BootFiles): Promise<Earlier> {
  const text = (await readText(boot, NODE_RECORD)) ?? '{}'
  const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : [])
  try {
    const { cmdline, files, system } = JSON.parse(text)
    const [family = '', ...release] = String(system).split('-')
    return {
      cmdline: list(cmdline),
      files: {},
      stock: Object.fromEntries(list(files).map((path) => [path, null])),
      system: { family, release: release.join('-') },
    }
  } catch {
    // Not ours, or torn by a power cut: then nothing is known to be taken out.
    return { cmdline: [], files: {}, stock: {} }
  }
}
