/** The contents of an ext4 volume into an archive, in the order in which they lie there, digests on the way. */
import { createHash, type Hash } from 'node:crypto'
import type { Range } from '../disk/blocks.ts'
import type { Inode } from '../disk/ext4/inode.ts'
import type { Ext4Volume } from '../disk/ext4/volume.ts'
import type { Task } from '../progress.ts'
import { MiB } from '../units.ts'
import type { VolumeFile, VolumeListing } from './list-volume.ts'
import type { TarBody, TarWriter } from './tar-writer.ts'

const zeroes = new Uint8Array(MiB)

/**
 * Add all files, then everything else but directories and sockets. Sets the
 * digests of the listing's entries.
 *
 * @param subject of progress reports
 */
export async function writeContents(
  volume: Ext4Volume,
  listing: VolumeListing,
  writer: TarWriter,
  subject: string,
  task: Task,
): Promise<void> {
  let bytes = 0
  for (const file of listing.files) {
    task.signal.throwIfAborted()
    await writeFile(volume, file, writer)
    bytes += file.entry.size
    task.report({ phase: 'write', subject, bytes, totalBytes: listing.bytes })
  }
  for (const { entry, links } of listing.others) {
    task.signal.throwIfAborted()
    if (entry.type === 'socket') continue
    await writer.add(entry)
    for (const link of links) await writer.link(link, entry.path)
  }
}

async function writeFile(volume: Ext4Volume, file: VolumeFile, writer: TarWriter): Promise<void> {
  const inode = await volume.inode(file.ino)
  const hash = createHash('sha256')
  await writer.add(file.entry, await openBody(volume, inode, hash))
  const sha256 = hash.digest('hex')
  file.entry.sha256 = sha256
  for (const link of file.links) {
    link.sha256 = sha256
    await writer.link(link, file.entry.path)
  }
}

async function openBody(volume: Ext4Volume, inode: Inode, hash: Hash): Promise<TarBody> {
  const data: Range[] = []
  let dataBytes = 0
  for await (const range of volume.extentsOf(inode)) {
    data.push(range)
    dataBytes += range.length
  }
  if (dataBytes === inode.size) return { data: undefined, chunks: hashed(volume.readFile(inode), hash) }
  return { data, chunks: dataChunks(volume, inode, data, hash) }
}

async function* hashed(chunks: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    hash.update(chunk)
    yield chunk
  }
}

/** The data alone; the digest is of the whole file all the same. */
async function* dataChunks(
  volume: Ext4Volume,
  inode: Inode,
  data: readonly Range[],
  hash: Hash,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const { offset, length } of data) {
    hashZeroes(hash, offset - at)
    for (let done = 0; done < length; done += MiB) {
      const chunk = await volume.readData(inode, offset + done, Math.min(MiB, length - done))
      hash.update(chunk)
      yield chunk
    }
    at = offset + length
  }
  hashZeroes(hash, inode.size - at)
}

function hashZeroes(hash: Hash, length: number): void {
  for (let left = length; left > 0; left -= MiB) hash.update(zeroes.subarray(0, Math.min(left, MiB)))
}
