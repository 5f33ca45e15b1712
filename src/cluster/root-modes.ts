/** What `netroot.root` may say: how a node's root is made of its image's; `auto` is the cheapest way there is. */
export const rootModeWords = ['auto', 'reflink', 'btrfs', 'overlay', 'copy', 'shared'] as const

export type RootModeWord = (typeof rootModeWords)[number]
