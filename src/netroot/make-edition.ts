/**
 * An edition onto the disk: a node's boot tree and root, under another name
 * until they are whole.
 *
 * Boot files that are the generation's are links to them: nothing ever writes
 * into either, and a tree of a hundred files costs its folders.
 */
import { chmodSync, linkSync, readdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatState } from '../io/state-file.ts'
import { bareUuidOf } from '../uuid.ts'
import type { BootTree } from './boot-tree.ts'
import type { GenerationRecord } from './generation.ts'
import { writeOwnFiles } from './own-files.ts'
import { baseImage, generationFolder } from './paths.ts'
import type { NodePlan } from './plan.ts'
import { rootWays } from './root-modes/ways.ts'
import { type Scanned, scanTftpTree } from './scan-tftp.ts'
import { at, CLOSED, makeFolder, OPEN, PRIVATE, removeTree, type ServerRoot } from './server-root.ts'
import { sharedBoot } from './shared/boot.ts'
import { editionFormat } from './state-formats.ts'
import { runTool } from './system-tool.ts'

/** An edition that is made, under another name until it is on the disk. */
export interface NewEdition {
  part: string
  folder: string
}

/**
 * @param lower where the generation's root is mounted
 * @throws {NetrootError} a secret in the boot tree, or a tool that failed
 */
export async function makeEdition(
  { record, boot, root, secrets }: NodePlan,
  generation: GenerationRecord,
  lower: string,
  state: { folder: string; place: ServerRoot; scanned: Scanned },
  signal: AbortSignal,
): Promise<NewEdition> {
  const { place, scanned } = state
  const folder = at(place, dirname(record.bootFolder))
  const source = at(place, generationFolder(state.folder, record.generation))
  const part = join(dirname(folder), `.${record.edition}.part`)
  const modified = new Date(generation.modified)
  await removeTree(part)
  makeFolder(dirname(folder), CLOSED)
  makeFolder(part, CLOSED)
  const shared = record.stateFolder === undefined ? undefined : sharedBoot(source)
  makeBootTree(join(source, 'boot'), join(part, 'boot'), boot, modified, shared)
  scanTftpTree(join(part, 'boot'), secrets, scanned)
  const own = join(part, 'private')
  makeFolder(own, PRIVATE)
  const { image } = baseImage(state.folder, record.generation)
  await rootWays[record.rootMode].make(
    { image: at(place, image), lower, edits: root, modified, signal },
    own,
    bareUuidOf(dirname(record.bootFolder)),
  )
  writeOwnFiles(part, root)
  writeFileSync(join(part, 'edition.json'), formatState(editionFormat, record), { mode: 0o600 })
  return { part, folder }
}

/** Give editions their names, with one flush for all of them before. */
export async function finishEditions(editions: readonly NewEdition[]): Promise<void> {
  const [first] = editions
  if (first === undefined) return
  await runTool('sync', ['-f', first.part])
  for (const { part, folder } of editions) renameSync(part, folder)
}

/** @param shared folder with files in place of the generation's */
function makeBootTree(
  from: string,
  to: string,
  { files, without, self }: BootTree,
  modified: Date,
  shared: string | undefined,
): void {
  const others = shared === undefined ? [] : readdirSync(shared)
  const replaced = new Set([...files.keys(), ...without, ...others].map((path) => path.toLowerCase()))
  linkTree(from, to, '', replaced)
  for (const name of others) linkSync(join(shared ?? from, name), join(to, name))
  if (self !== undefined) symlinkSync('.', join(to, self))
  for (const [path, content] of files) {
    makeFolder(dirname(join(to, path)), OPEN)
    writeFileSync(join(to, path), content, { flag: 'wx', mode: 0o644 })
    chmodSync(join(to, path), 0o644)
    utimesSync(join(to, path), modified, modified)
  }
}

function linkTree(from: string, to: string, below: string, replaced: ReadonlySet<string>): void {
  makeFolder(to, OPEN)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (replaced.has(path.toLowerCase())) continue
    if (entry.isDirectory()) linkTree(join(from, entry.name), join(to, entry.name), path, replaced)
    // A link in an archive's boot folder could lead a TFTP server anywhere.
    else if (entry.isFile()) linkSync(join(from, entry.name), join(to, entry.name))
  }
}
