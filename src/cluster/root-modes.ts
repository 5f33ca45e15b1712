/**
 * How the root of a diskless node is made of its generation's, the best way
 * first; each has a file in src/netroot/root-modes/.
 *
 * - `reflink`: a clone of the generation's image that shares blocks until one of them is written.
 * - `overlay`: an overlay mount of the generation's root and a folder in an image of the node's own.
 * - `copy`: an image with every file again.
 * - `shared`: the generation's root itself, read-only; what is the node's own comes with its initramfs.
 */
export const rootModes = ['reflink', 'overlay', 'copy', 'shared'] as const

export type RootMode = (typeof rootModes)[number]

/**
 * What `netroot.root` and `--root-mode` may say. `auto` is the cheapest way there
 * is; `btrfs` is what `reflink` was called on that file system, and means the same.
 */
export const rootModeWords = [
  'auto',
  'reflink',
  'btrfs',
  'overlay',
  'copy',
  'shared',
] as const satisfies readonly (RootMode | 'auto' | 'btrfs')[]

export type RootModeWord = (typeof rootModeWords)[number]

/** The modes that a word allows, the best first. */
export const modesOf = (word: RootModeWord): readonly RootMode[] =>
  word === 'auto' ? rootModes : [word === 'btrfs' ? 'reflink' : word]

/** The mode whose roots need nothing else of the server's: what an archive holds. */
export const archiveMode: RootMode = 'copy'

/** Whether nodes have one root, which none of them can write. */
export const isReadOnly = (mode: RootMode): boolean => mode === 'shared'
