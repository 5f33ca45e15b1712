/** Files of an ext4 volume into an archive, with their digests on the way. */
import { createHash } from 'node:crypto'
import type { Range } from '../disk/blocks.ts'
import type { Inode } from '../disk/ext4/inode.ts'
import type { Ext4Volume } from '../disk/ext4/volume.ts'
import { MiB } from '../units.ts'
import { digested } from './file-digest.ts'
import type { VolumeFile } from './list-volume.ts'
import type { TreeEntry } from './manifest.ts'
import type { TarWriter } from './tar-writer.ts'

/** Add one file under one of its names; the digest of all of them is set. */
export async function addFile(
  volume: Ext4Volume,
  file: VolumeFile,
  writer: TarWriter,
  signal: AbortSignal,
  name: TreeEntry = file.entry,
): Promise<void> {
  const inode = await volume.inode(file.ino)
  const { size } = inode
  const data = await dataOf(volume, inode)
  const chunks = data === undefined ? volume.readFile(inode) : dataChunks(volume, inode, data)
  const hash = createHash('sha256')
  await writer.add(name, { data, chunks: digested(chunks, data, size, hash, signal) })
  const sha256 = hash.digest('hex')
  for (const entry of [file.entry, ...file.links]) entry.sha256 = sha256
}

/** The parts that hold data; undefined for a file without holes. */
async function dataOf(volume: Ext4Volume, inode: Inode): Promise<Range[] | undefined> {
  const data: Range[] = []
  let bytes = 0
  for await (const range of volume.extentsOf(inode)) {
    data.push(range)
    bytes += range.length
  }
  return bytes === inode.size ? undefined : data
}

async function* dataChunks(
  volume: Ext4Volume,
  inode: Inode,
  data: readonly Range[],
): AsyncGenerator<Uint8Array> {
  for (const { offset, length } of data)
    for (let done = 0; done < length; done += MiB)
      yield await volume.readData(inode, offset + done, Math.min(MiB, length - done))
}
