/** What the edits of a root depend on: a few files of the image's root file system. */
import type { Ext4Volume } from '../../disk/ext4/volume.ts'

/** Absolute paths to look at. */
export interface RootLook {
  /** Whether they are there. */
  paths: readonly string[]
  /** What is in them. */
  texts: readonly string[]
  /** Where they lead. */
  links: readonly string[]
}

export interface RootFacts {
  /** Those of `paths` that are there. */
  has: ReadonlySet<string>
  /** '' when there is no such file. */
  text(path: string): string
  /** '' when it is a file, or is not there. */
  target(path: string): string
}

/** A root file system, however it is packed. */
export interface RootFiles {
  has(path: string): Promise<boolean>
  /** '' when there is no such file. */
  text(path: string): Promise<string>
  /** Of a symbolic link; '' for anything else. */
  target(path: string): Promise<string>
}

/** @throws {FormatError} the file system is damaged */
export async function readRootFacts(files: RootFiles, looks: readonly RootLook[]): Promise<RootFacts> {
  const has = new Set<string>()
  const texts = new Map<string, string>()
  const links = new Map<string, string>()
  const all = (kind: keyof RootLook) => new Set(looks.flatMap((look) => look[kind]))
  for (const path of all('paths')) if (await files.has(path)) has.add(path)
  for (const path of all('texts')) texts.set(path, await files.text(path))
  for (const path of all('links')) links.set(path, await files.target(path))
  return { has, text: (path) => texts.get(path) ?? '', target: (path) => links.get(path) ?? '' }
}

export const rootFilesOf = (volume: Ext4Volume): RootFiles => ({
  has: async (path) => (await volume.lookup(path, { follow: true })) !== undefined,
  async text(path) {
    const inode = await volume.lookup(path, { follow: true })
    if (inode === undefined || inode.type !== 'file') return ''
    return (await volume.readData(inode, 0, inode.size)).toString('utf8')
  },
  async target(path) {
    const inode = await volume.lookup(path)
    return inode?.type === 'symlink' ? (await volume.readLink(inode)).toString() : ''
  },
})
