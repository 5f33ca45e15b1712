/**
 * How the root of a diskless node is made of its generation's; src/netroot/make-root.ts makes each.
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
