/** What the edits of a root depend on: a few files of the image's root file system, read at once. */
import { type RootFiles, readRootText } from '../../root/root-files.ts'

/** Absolute paths to look at. */
export interface RootLook {
  /** Whether they are there. */
  paths: readonly string[]
  /** What is in them. */
  texts: readonly string[]
  /** Where they lead. */
  links: readonly string[]
}

export interface RootSnapshot {
  has(path: string): boolean
  /** '' when there is no such file. */
  text(path: string): string
  /** '' when it is a file, or is not there. */
  target(path: string): string
}

/** What a snapshot asks of a root. */
export type SnapshotSource = Pick<RootFiles, 'has' | 'read' | 'link'>

/** @throws {FormatError} the file system is damaged */
export async function takeRootSnapshot(
  files: SnapshotSource,
  looks: readonly RootLook[],
): Promise<RootSnapshot> {
  const paths = new Set<string>()
  const texts = new Map<string, string>()
  const links = new Map<string, string>()
  const all = (kind: keyof RootLook) => new Set(looks.flatMap((look) => look[kind]))
  for (const path of all('paths')) if (await files.has(path)) paths.add(path)
  for (const path of all('texts')) texts.set(path, (await readRootText(files, path)) ?? '')
  for (const path of all('links')) links.set(path, (await files.link(path)) ?? '')
  return {
    has: (path) => paths.has(path),
    text: (path) => texts.get(path) ?? '',
    target: (path) => links.get(path) ?? '',
  }
}
