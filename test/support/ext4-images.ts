/**
 * ext2/3/4 volumes for tests, made by mke2fs in a folder that is gone after the
 * test. Sizes are sparse: a 2 GiB volume takes a few MB.
 */
import assert from 'node:assert/strict'
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type FileReader, openFileReader } from '../../src/io/file-reader.ts'
import { tempFolder } from './temp.ts'
import { needTool, run } from './tools.ts'

export interface FeatureSet {
  name: string
  /** For mke2fs. */
  args: readonly string[]
  /** False where mounting takes what a kernel may lack (quota), or eleven seconds (mmp). */
  mounts?: boolean
}

/** Feature sets that differ in the layout of the volume, which a reader must not notice. */
export const featureSets: readonly FeatureSet[] = [
  { name: 'ext2, 1 KiB blocks', args: ['-t', 'ext2', '-b', '1024'] },
  { name: 'ext2 revision 0', args: ['-t', 'ext2', '-r', '0', '-b', '1024'] },
  { name: 'ext3, 1 KiB blocks', args: ['-t', 'ext3', '-b', '1024'] },
  { name: 'ext3, 4 KiB blocks', args: ['-t', 'ext3', '-b', '4096'] },
  { name: 'ext4 as mke2fs makes it', args: ['-t', 'ext4'] },
  { name: 'ext4 of pi-gen', args: ['-t', 'ext4', '-O', '^huge_file,^64bit'] },
  {
    name: 'ext4 of Trixie',
    args: ['-t', 'ext4', '-O', '64bit,metadata_csum,metadata_csum_seed,orphan_file'],
  },
  { name: 'inline_data', args: ['-t', 'ext4', '-O', 'inline_data', '-I', '512'] },
  { name: 'inline_data, 256-byte inodes', args: ['-t', 'ext4', '-O', 'inline_data', '-I', '256'] },
  { name: 'no flex_bg', args: ['-t', 'ext4', '-O', '^flex_bg'] },
  { name: 'uninit_bg instead of metadata_csum', args: ['-t', 'ext4', '-O', '^metadata_csum,uninit_bg'] },
  {
    name: 'uninit_bg, 32-bit descriptors',
    args: ['-t', 'ext4', '-O', '^metadata_csum,^64bit,uninit_bg,^flex_bg'],
  },
  { name: 'meta_bg', args: ['-t', 'ext4', '-O', 'meta_bg,^resize_inode'] },
  { name: 'meta_bg, 1 KiB blocks', args: ['-t', 'ext4', '-b', '1024', '-O', 'meta_bg,^resize_inode'] },
  { name: 'sparse_super2', args: ['-t', 'ext4', '-O', 'sparse_super2'] },
  { name: 'no sparse_super', args: ['-t', 'ext4', '-O', '^sparse_super,^resize_inode'] },
  { name: '2 KiB blocks, 512-byte inodes', args: ['-t', 'ext4', '-b', '2048', '-I', '512'] },
  { name: '1 KiB blocks, 128-byte inodes', args: ['-t', 'ext4', '-b', '1024', '-I', '128'] },
  { name: 'ea_inode', args: ['-t', 'ext4', '-O', 'ea_inode'] },
  { name: 'large_dir', args: ['-t', 'ext4', '-b', '1024', '-O', 'large_dir'] },
  { name: 'no extents', args: ['-t', 'ext4', '-O', '^extents,^64bit'] },
  { name: 'bigalloc', args: ['-t', 'ext4', '-O', 'bigalloc', '-C', '16384'] },
  { name: 'bigalloc, 1 KiB blocks', args: ['-t', 'ext4', '-b', '1024', '-O', 'bigalloc', '-C', '8192'] },
  // A kernel with pages of 4 KiB, or without Unicode tables, can't mount these.
  { name: '64 KiB blocks', args: ['-t', 'ext4', '-b', '65536'], mounts: false },
  { name: 'casefold', args: ['-t', 'ext4', '-O', 'casefold'], mounts: false },
  { name: 'quota and project', args: ['-t', 'ext4', '-O', 'quota,project'], mounts: false },
  { name: 'mmp', args: ['-t', 'ext4', '-O', 'mmp'], mounts: false },
]

export interface VolumeFile {
  path: string
  bytes: number
}

/**
 * Make a volume.
 *
 * @param args for mke2fs: type, features, `-d FOLDER`
 * @returns undefined after the test was skipped
 */
export function makeVolume(t: TestContext, bytes: number, args: readonly string[]): VolumeFile | undefined {
  if (needTool(t, 'mke2fs', 'e2fsprogs') === undefined) return undefined
  const path = join(tempFolder(t), 'volume.img')
  run('truncate', ['-s', String(bytes), path])
  const uuid = '5b8c9e4a-0f5d-4a86-9d43-0d2c6f0f7a11'
  const fixed = ['-q', '-F', '-U', uuid, '-E', `hash_seed=${uuid}`]
  const made = run('mke2fs', [...fixed, ...args, path], { env: { E2FSPROGS_FAKE_TIME: '1700000000' } })
  assert.equal(made.status, 0, `mke2fs ${args.join(' ')}: ${made.stderr}`)
  return { path, bytes }
}

/** The volume as a reader, closed after the test; `extraBytes` of partition follow the file system. */
export async function openVolumeFile(t: TestContext, file: VolumeFile, extraBytes = 0): Promise<FileReader> {
  if (extraBytes > 0) truncateSync(file.path, file.bytes + extraBytes)
  const reader = await openFileReader(file.path)
  t.after(() => reader.close())
  return reader
}

/** Commands for debugfs, one per line, which may change the volume. */
export function debugfs(file: VolumeFile, ...commands: string[]): string {
  const ran = run('debugfs', ['-w', '-f', '-', file.path], { input: `${commands.join('\n')}\n` })
  assert.equal(ran.status, 0, ran.stderr)
  return ran.stdout
}
