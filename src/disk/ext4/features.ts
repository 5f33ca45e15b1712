/**
 * The feature bits of an ext2/3/4 volume, by the names that mke2fs uses.
 *
 * A reader must know every `incompat` bit: an unknown one means that the
 * layout is not what it seems. `compat` and `ro_compat` bits never stop a
 * reader; an unknown `ro_compat` bit only means that the bitmaps may follow
 * rules that are not known here.
 *
 * Source: Linux Documentation/filesystems/ext4/super.rst.
 */

const incompatNames = {
  compression: 0x1,
  filetype: 0x2,
  needs_recovery: 0x4,
  journal_dev: 0x8,
  meta_bg: 0x10,
  extents: 0x40,
  '64bit': 0x80,
  mmp: 0x100,
  flex_bg: 0x200,
  ea_inode: 0x400,
  dirdata: 0x1000,
  metadata_csum_seed: 0x2000,
  large_dir: 0x4000,
  inline_data: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const

const compatNames = { sparse_super2: 0x200, orphan_file: 0x1000 } as const

const roCompatNames = {
  sparse_super: 0x1,
  large_file: 0x2,
  btree_dir: 0x4,
  huge_file: 0x8,
  uninit_bg: 0x10,
  dir_nlink: 0x20,
  extra_isize: 0x40,
  quota: 0x100,
  bigalloc: 0x200,
  metadata_csum: 0x400,
  read_only: 0x1000,
  project: 0x2000,
  shared_blocks: 0x4000,
  verity: 0x8000,
  orphan_present: 0x10000,
} as const

export type Feature = keyof typeof incompatNames | keyof typeof compatNames | keyof typeof roCompatNames

/** What no part of this reader can read, or reads at the risk of being wrong. */
const unreadable: readonly Feature[] = ['compression', 'journal_dev', 'dirdata']

export interface Features {
  has(name: Feature): boolean
  /** Names (or bits) of features that keep this reader from reading files. */
  readonly unreadable: readonly string[]
  /** Bits whose rules for the block bitmaps are not known here. */
  readonly unknownRoCompat: readonly string[]
}

export function readFeatures(compat: number, incompat: number, roCompat: number): Features {
  const present = new Set<string>([
    ...namesIn(compatNames, compat),
    ...namesIn(incompatNames, incompat),
    ...namesIn(roCompatNames, roCompat),
  ])
  return {
    has: (name) => present.has(name),
    unreadable: [
      ...unreadable.filter((name) => present.has(name)),
      ...unknownBits('incompat', incompatNames, incompat),
    ],
    unknownRoCompat: unknownBits('ro_compat', roCompatNames, roCompat),
  }
}

function namesIn(names: Readonly<Record<string, number>>, word: number): string[] {
  return Object.keys(names).filter((name) => (word & (names[name] as number)) !== 0)
}

function unknownBits(kind: string, names: Readonly<Record<string, number>>, word: number): string[] {
  const known = Object.values(names)
  const unknown: string[] = []
  for (let bit = 0; bit < 32; bit += 1) {
    const mask = 2 ** bit
    if (Math.floor(word / mask) % 2 === 1 && !known.includes(mask))
      unknown.push(`${kind} 0x${mask.toString(16)}`)
  }
  return unknown
}
