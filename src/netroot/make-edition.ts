/**
 * An edition onto the disk: a node's boot tree and root, under another name
 * until they are whole.
 *
 * Boot files that are the generation's are links to them: nothing ever writes
 * into either, and a tree of a hundred files costs its folders. A root is never
 * made of hard links: what one node writes would be in all of them.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { formatState } from '../io/state-file.ts'
import { applyRootEdits } from './apply-root-edits.ts'
import type { BootTree } from './boot-tree.ts'
import type { GenerationRecord } from './generation.ts'
import { writeOwnFiles } from './own-files.ts'
import { generationFolder } from './paths.ts'
import { at, CLOSED, makeFolder, OPEN, type Place, PRIVATE, removeTree } from './place.ts'
import type { NodePlan } from './plan.ts'
import { mountOverlay } from './root-mode.ts'
import { type Scanned, scanTftpTree } from './scan-tftp.ts'
import type { RootMode } from './served.ts'
import { sharedBoot } from './shared/boot.ts'
import { STATE_FILE } from './shared/segment.ts'
import { stateArchive } from './shared/state.ts'
import { editionFormat } from './state-formats.ts'
import { runTool } from './system-tool.ts'

/** An edition that is made, under another name until it is on the disk. */
export interface NewEdition {
  part: string
  folder: string
}

/**
 * @returns undefined when it is there already
 * @throws {NetrootError} a secret in the boot tree, or a tool that failed
 */
export async function makeEdition(
  { record, boot, root, secrets }: NodePlan,
  generation: GenerationRecord,
  state: { folder: string; place: Place; scanned: Scanned },
  signal: AbortSignal,
): Promise<NewEdition | undefined> {
  const { place, scanned } = state
  const folder = at(place, dirname(record.bootFolder))
  if (existsSync(folder)) return undefined
  const source = at(place, generationFolder(state.folder, record.generation))
  const part = join(dirname(folder), `.${record.edition}.part`)
  const modified = new Date(generation.modified)
  await removeTree(part)
  makeFolder(dirname(folder), CLOSED)
  makeFolder(part, CLOSED)
  const shared = record.rootMode === 'shared' ? sharedBoot(source) : undefined
  makeBootTree(join(source, 'boot'), join(part, 'boot'), boot, modified, shared)
  scanTftpTree(join(part, 'boot'), secrets, scanned)
  const own = join(part, 'private')
  makeFolder(own, PRIVATE)
  const lower = join(source, 'root')
  if (record.rootMode === 'shared') putState(join(own, 'state'), stateArchive(lower, root, modified))
  else await makeRoot(record.rootMode, lower, own, signal, (path) => applyRootEdits(path, root, modified))
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

/** It holds the node's secrets, and is exported to that node only. */
function putState(folder: string, archive: Uint8Array): void {
  makeFolder(folder, PRIVATE)
  writeFileSync(join(folder, STATE_FILE), archive, { mode: 0o600 })
}

/** Of every btrfs subvolume's top folder. */
const SUBVOLUME_INODE = 256

/** @param edit called with the root where it can be changed */
async function makeRoot(
  mode: Exclude<RootMode, 'shared'>,
  lower: string,
  part: string,
  signal: AbortSignal,
  edit: (path: string) => void,
): Promise<void> {
  const root = join(part, 'root')
  switch (mode) {
    case 'btrfs':
      // A generation of another mode is a plain folder.
      if (statSync(lower).ino !== SUBVOLUME_INODE) return makeRoot('reflink', lower, part, signal, edit)
      await runTool('btrfs', ['subvolume', 'snapshot', lower, root], signal)
      return edit(root)
    case 'reflink':
      await runTool('cp', ['-a', '--reflink=always', lower, root], signal)
      return edit(root)
    case 'copy':
      await runTool('cp', ['-a', lower, root], signal)
      return edit(root)
    case 'overlay':
      return editOverlay(lower, part, edit)
  }
}

/**
 * Through the overlay, mounted as the server will mount it: with `nfs_export`
 * the kernel merges only those folders that it has copied up itself.
 */
async function editOverlay(lower: string, part: string, edit: (path: string) => void): Promise<void> {
  const [upper, work, merged] = [join(part, 'upper'), join(part, 'work'), join(part, 'merged')]
  for (const folder of [upper, work, merged]) mkdirSync(folder, { mode: 0o700 })
  // The root folder's own rights are the upper one's.
  const { mode, uid, gid } = statSync(lower)
  chownSync(upper, uid, gid)
  chmodSync(upper, mode & 0o7777)
  await mountOverlay({ lower, upper, work, merged })
  try {
    edit(merged)
  } finally {
    await runTool('umount', [merged])
  }
}
