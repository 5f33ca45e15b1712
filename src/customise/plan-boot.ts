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
import { createHash } from 'node:crypto'
import { type BootFiles, bytesOf, listTree, readText } from '../boot/boot-files.ts'
import { editCmdline, formatCmdline, parseCmdline, withoutTrigger } from '../boot/cmdline-txt.ts'
import { editConfigTxt } from '../boot/config-txt.ts'
import { NODE_RECORD, PAYLOAD } from '../boot/payload-paths.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { FormatError } from '../errors.ts'
import type { DetectedOs } from '../node/system.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import { detectOs, familyOf } from '../systems/detect.ts'
import { isInitShell, SAVED_CMDLINE } from '../systems/init-shell.ts'
import { makeArtifact } from './artifacts.ts'
import { type BootDraft, emptyDraft } from './boot-draft.ts'
import { applyEdits, collectFacts, resolveOverlays } from './collect.ts'
import { addExtraFiles, addMetaData, type BootExtras } from './extras.ts'
import { checkFirmwareFiles } from './firmware-check.ts'
import type { Overlay } from './overlay.ts'
import { type NodeRecord, payloadFiles } from './payload.ts'

export interface BootRequest {
  cluster: Cluster
  node: Node
  image: Pick<LockedImage, 'key' | 'version' | 'arch'> & Partial<Pick<LockedImage, 'download'>>
  boot: BootFiles
  overlays: ReadonlyMap<string, Overlay>
  /** undefined: nothing is derived; a node makes its own host key, as images do. */
  keys: NodeKeys | undefined
  /** Files given in place of the image's own. */
  extras?: BootExtras
  /** `--os`; else the node's `os:`, else what is found. */
  os?: string
}

export interface FileChange {
  /** From the partition's root. */
  path: string
  /** null: not there. */
  before: Uint8Array | null
  /** null: removed. */
  after: Uint8Array | null
}

export interface BootPlan {
  node: string
  os: DetectedOs
  /** By path. Files that stay as they are are left out. */
  files: FileChange[]
  /** Every secret that occurs in `files`, for redaction. */
  secrets: string[]
  /** One sentence each, for people. */
  warnings: string[]
}

/**
 * @throws {UsageError} an overlay or a value that does not fit the node
 * @throws {FormatError} an unknown system, or a file on the partition that cannot be edited
 */
export async function planBoot(request: BootRequest): Promise<BootPlan> {
  const { cluster, node, image, boot, overlays, keys } = request
  const os = await detectOs(boot, request.os ?? node.os)
  const family = familyOf(os)
  const subject = { node, cluster, os, image }
  const resolved = await resolveOverlays(overlays, subject)
  const facts = collectFacts(resolved, () => keys?.hostKey(node.name))

  const earlier = await readRecord(boot)
  const draft = emptyDraft(boot, await stockCmdline(boot, earlier))
  draft.pastDay = image.download?.source.checked ?? ''
  if (facts.hostKey !== undefined) {
    draft.secretFiles.set('ssh_host_ed25519_key', facts.hostKey.privateKey)
    draft.secretFiles.set('ssh_host_ed25519_key.pub', `${facts.hostKey.publicLine}\n`)
  }
  await family.express(facts, draft, os, node)
  const before = draft.cmdline
  applyEdits(draft, resolved, (name, overlay) => makeArtifact(name, overlay, subject, keys))
  await family.finish(draft, os, node)
  if (request.extras !== undefined) addExtraFiles(request.extras, draft, facts)

  for (const edit of draft.cmdlineEdits) draft.cmdline = editCmdline(draft.cmdline, edit)
  const record: NodeRecord = {
    node: node.name,
    cluster: cluster.name,
    role: node.role,
    model: node.model,
    image: image.key,
    system: `${os.family}-${os.release}`,
    overlays: resolved.map(({ name }) => name),
    cmdline: draft.cmdline.filter((token) => !before.includes(token)),
    files: await filesAdded(draft, earlier),
  }
  const payload = await payloadFiles(draft, facts, { node, cluster }, record)
  for (const [path, content] of payload) draft.files.set(path, content)
  await checkFirmwareFiles(draft.config, boot, node.model)
  await writeConfigTxt(draft, request.extras?.configTxt)
  family.start(draft, os, identityOf(draft, node.name))
  if (request.extras !== undefined) addMetaData(request.extras, draft)
  draft.files.set('cmdline.txt', bytesOf(formatCmdline(draft.cmdline)))

  const files = await listChanges(draft, earlier.files)
  return { node: node.name, os, files, secrets: [...draft.secrets].sort(), warnings: draft.warnings }
}

/** What an earlier plan added to this partition. */
async function readRecord(boot: BootFiles): Promise<Pick<NodeRecord, 'cmdline' | 'files'>> {
  const text = await readText(boot, NODE_RECORD)
  const list = (value: unknown) => (Array.isArray(value) ? value.map(String) : [])
  try {
    const { cmdline, files } = JSON.parse(text ?? '{}') as Partial<NodeRecord>
    return { cmdline: list(cmdline), files: list(files) }
  } catch {
    // Not ours, or torn by a power cut: then nothing is known to be taken out.
    return { cmdline: [], files: [] }
  }
}

/** The image's own tokens. */
async function stockCmdline(boot: BootFiles, earlier: Pick<NodeRecord, 'cmdline'>): Promise<string[]> {
  const text = await readText(boot, 'cmdline.txt')
  if (text === undefined) {
    throw new FormatError('the boot partition has no cmdline.txt', {
      hint: 'Is it the boot partition of a Raspberry Pi image? Netboot archives and data cards have none.',
    })
  }
  let tokens = parseCmdline(text)
  if (isInitShell(tokens)) tokens = parseCmdline((await readText(boot, SAVED_CMDLINE)) ?? '')
  return withoutTrigger(editCmdline(tokens, { remove: earlier.cmdline }))
}

/** New files outside the payload; one that an earlier plan added is still ours. */
async function filesAdded(draft: BootDraft, earlier: Pick<NodeRecord, 'files'>): Promise<string[]> {
  const added: string[] = []
  for (const path of draft.files.keys()) {
    if (earlier.files.includes(path) || (await draft.boot.read(path)) === undefined) added.push(path)
  }
  return added.sort()
}

/** Also when nothing changes in it: the identity covers the whole of what the node starts from. */
async function writeConfigTxt(draft: BootDraft, given: string | undefined): Promise<void> {
  const before = given ?? (await readText(draft.boot, 'config.txt'))
  const after = editConfigTxt(before ?? '', draft.config)
  if (before !== undefined || after !== '') draft.files.set('config.txt', bytesOf(after))
}

/** Digest of everything written so far and of the command line, in the form cloud-init takes. */
function identityOf(draft: BootDraft, node: string): string {
  const digest = createHash('sha256')
  for (const [path, content] of [...draft.files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    digest.update(`${path}\0${content.length}\0`).update(content)
  }
  digest.update(draft.cmdline.join(' '))
  return `piimage-${node}-${digest.digest('hex').slice(0, 12)}`
}

/** Compare with the partition; what an earlier plan left there and is not wanted any more goes. */
async function listChanges(draft: BootDraft, earlier: readonly string[]): Promise<FileChange[]> {
  const changes: FileChange[] = []
  for (const [path, after] of draft.files) {
    const before = (await draft.boot.read(path)) ?? null
    if (before === null || Buffer.compare(before, after) !== 0) changes.push({ path, before, after })
  }
  const wanted = new Set([...draft.files.keys()].map((path) => path.toLowerCase()))
  const payload = (await listTree(draft.boot, PAYLOAD)).filter((path) => !path.startsWith(`${PAYLOAD}/log/`))
  for (const path of [...earlier, ...payload]) {
    const before = await draft.boot.read(path)
    if (before !== undefined && !wanted.has(path.toLowerCase())) changes.push({ path, before, after: null })
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1))
}
