/**
 * What a compressed file holds, told from the first bytes of its content: a
 * disk image, or an archive of files such as ClusterCTRL publishes for netboot.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format".
 */
import type { BlockReader } from '../disk/blocks.ts'
import { FormatError } from '../errors.ts'
import { type PackFormat, SNIFF_BYTES, sniff } from './sniff.ts'

export interface PackedContent {
  format: Exclude<PackFormat, 'img'>
  holds: 'disk image' | 'archive' | 'something else'
  /** First names in the archive. */
  names: string[]
}

const TAR_BLOCK = 512

/** @returns undefined when the file is not compressed, or is nothing that can be told */
export async function lookIntoPacked(
  path: string,
  file: BlockReader,
  signal: AbortSignal,
): Promise<PackedContent | undefined> {
  const format = tellFormat(await file.read(0, Math.min(SNIFF_BYTES, file.length)), path)
  if (format === undefined || format === 'img') return undefined
  const start = await firstChunk(path, signal)
  const names = listTarNames(start)
  if (names.length > 0) return { format, holds: 'archive', names }
  return { format, holds: tellFormat(start, path) === 'img' ? 'disk image' : 'something else', names }
}

/** In one sentence, with what to do about it. */
export function describePacked(name: string, { format, holds, names }: PackedContent): string {
  if (holds === 'archive') {
    const isRoot = ['bin', 'boot', 'etc', 'usr'].some((folder) =>
      names.some((path) => path.replace(/^\.\//, '').startsWith(`${folder}/`)),
    )
    const shown = names.filter((path) => path !== './').slice(0, 4)
    return isRoot
      ? `${name}: ${format}, in it a tar archive of a root file system (${shown.join(', ')} …), as ClusterCTRL publishes them for usbboot; for a card take the .img beside it`
      : `${name}: ${format}, in it a tar archive (${shown.join(', ')} …) and no disk image`
  }
  return holds === 'disk image'
    ? `${name}: ${format}, in it a disk image; unpack it to look into it, or lock it and plan with it`
    : `${name}: ${format}, in it neither a disk image nor a tar archive`
}

function tellFormat(start: Uint8Array, path: string): PackFormat | undefined {
  try {
    return sniff(start, path)
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

async function firstChunk(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const { unpackStream } = await import('./unpack.ts')
  const enough = new AbortController()
  let start: Uint8Array = new Uint8Array()
  try {
    await unpackStream(
      { source: path },
      (bytes) => {
        start = Uint8Array.from(bytes)
        enough.abort()
      },
      { report: () => {}, signal: AbortSignal.any([signal, enough.signal]) },
    )
  } catch (error) {
    if (!enough.signal.aborted || signal.aborted) throw error
  }
  return start
}

/** Names of the members whose headers lie in `start`; [] when it is no tar archive. */
function listTarNames(start: Uint8Array): string[] {
  const names: string[] = []
  const text = (from: number, length: number) =>
    Buffer.from(start.subarray(from, from + length))
      .toString('latin1')
      .replace(/\0.*$/s, '')
  for (let at = 0; at + TAR_BLOCK <= start.length && text(at + 257, 5) === 'ustar'; ) {
    names.push(text(at, 100))
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8)
    if (!Number.isSafeInteger(size)) break
    at += TAR_BLOCK * (1 + Math.ceil(size / TAR_BLOCK))
  }
  return names
}
