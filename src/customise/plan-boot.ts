/**
 * Node + overlays + what lies on the boot partition → every file that changes.
 *
 * Planning writes nothing and reads only what it is given: the partition's
 * files, the overlays' own files, the scripts in firstboot/. Same inputs, same
 * plan: the instance-id that tells cloud-init "this is a new machine" is a
 * digest of what is written, so it changes exactly when something else does.
 *
 * `plan` prints a BootPlan (./describe-boot-plan.ts); `flash`, `bake` and
 * `customise` apply it (./apply-boot-plan.ts).
 */
import { type BootFiles, listTree } from '../boot/boot-files.ts'
import { PAYLOAD } from '../boot/payload-paths.ts'
import type { ImagerFormat } from '../cluster/boards.ts'
import { findSamePaths } from '../disk/fat/names.ts'
import { UsageError } from '../errors.ts'
import { secretsOf } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import { renderCard } from '../systems/render.ts'
import { version } from '../version.ts'
import { findSecrets } from './find-secrets.ts'
import { planState, type StateRequest } from './node-state.ts'
import {
  type Earlier,
  type FileChange,
  formatReceipt,
  RECEIPT_FILE,
  type ReceiptImage,
  unkeptFiles,
} from './receipt.ts'

export type { FileChange } from './receipt.ts'

export interface BootRequest extends StateRequest {
  /** The image that is on the card; undefined: piimage didn't write it. */
  written?: ReceiptImage
}

export interface BootPlan {
  node: string
  os: DetectedOs
  /** How Raspberry Pi Imager may set a person's account in it. */
  imager: ImagerFormat
  /** By path. Files that stay as they are are left out. */
  files: FileChange[]
  /** Every secret that occurs in `files`, for redaction. */
  secrets: string[]
  /** One sentence each, for people. */
  warnings: string[]
}

/** @throws as planState and renderCard */
export async function planBoot(request: BootRequest): Promise<BootPlan> {
  const { boot, written } = request
  const { state, image, earlier } = await planState(request)
  const card = await renderCard(state, image)
  refuseSameFiles(state.node.name, card.files.keys())
  const secrets = secretsOf(state)
  const unkept = new Set(unkeptFiles(earlier))
  const replaced: FileChange[] = []
  for (const path of unkept) {
    const after = card.files.get(path) ?? (await boot.read(path)) ?? null
    if (after !== null) replaced.push({ path, before: null, after })
  }
  const changes = (await changesTo(image.boot, card.files)).filter(({ path }) => !unkept.has(path))
  const receipt = formatReceipt({
    cluster: state.cluster,
    node: state.node.name,
    image: written,
    os: image.os,
    piimage: version(),
    cmdline: card.added,
    changes: byPath([...changes, ...replaced]),
    unkept,
    secrets,
  })
  const wanted = new Map([...card.files, [RECEIPT_FILE, receipt]])
  const files = await changesTo(boot, new Map([...(await leftBehind(boot, image.boot, earlier)), ...wanted]))
  const stays = replaced.filter(({ path }) => !card.files.has(path))
  return {
    node: state.node.name,
    os: image.os,
    imager: (state.published && image.family.imagerFormat?.(image.os)) || 'none',
    files,
    secrets: [...new Set([...secrets, ...secretsBefore(files)])].sort(),
    warnings: [
      ...card.warnings,
      ...stays.map(
        ({ path }) =>
          `${path} stays as the plan for ${earlier.node} left it: the image's own is not on the card`,
      ),
    ],
  }
}

const byPath = (changes: readonly FileChange[]): FileChange[] =>
  [...changes].sort((a, b) => (a.path < b.path ? -1 : 1))

/** What differs from what is there, by path. */
async function changesTo(
  boot: BootFiles,
  wanted: ReadonlyMap<string, Uint8Array | null>,
): Promise<FileChange[]> {
  const byKey = new Map([...wanted].map(([path, after]) => [path.toLowerCase(), { path, after }]))
  const changes: FileChange[] = []
  for (const { path, after } of byKey.values()) {
    const before = (await boot.read(path)) ?? null
    if (!sameBytes(before, after)) changes.push({ path, before, after })
  }
  return byPath(changes)
}

/** Files of an earlier plan, as the image had them; what the node itself wrote when something failed stays. */
async function leftBehind(
  boot: BootFiles,
  shipped: BootFiles,
  earlier: Earlier,
): Promise<Map<string, Uint8Array | null>> {
  const files = new Map<string, Uint8Array | null>()
  for (const path of await listTree(boot, PAYLOAD))
    if (!path.toLowerCase().startsWith(`${PAYLOAD}/log/`)) files.set(path, null)
  for (const path of Object.keys(earlier.stock)) files.set(path, (await shipped.read(path)) ?? null)
  return files
}

function secretsBefore(files: readonly FileChange[]): string[] {
  return files.flatMap(({ path, before }) => {
    const text = new TextDecoder().decode(before ?? undefined)
    const lines = path.startsWith(`${PAYLOAD}/secrets/`) ? text.split('\n') : findSecrets(text)
    return lines.filter((line) => line.trim() !== '')
  })
}

const sameBytes = (a: Uint8Array | null, b: Uint8Array | null): boolean =>
  a === null || b === null ? a === b : Buffer.compare(a, b) === 0

/** Of two files that are one on the partition, one would go without a word. @throws {UsageError} */
function refuseSameFiles(node: string, paths: Iterable<string>): void {
  const [one, other] = findSamePaths(paths) ?? []
  if (one === undefined || other === undefined) return
  throw new UsageError(
    `node ${node}: ${JSON.stringify(one)} and ${JSON.stringify(other)} are the same file on a FAT partition`,
    { hint: 'FAT ignores case, and dots and blanks at the end of a name: rename one of them.' },
  )
}
