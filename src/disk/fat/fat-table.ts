/**
 * The file allocation table: for each cluster the next one of its chain.
 *
 * Read lazily in pieces of 32 KiB (the FAT of a 512 MiB volume with 512-byte
 * clusters has 4 MiB). Changed entries wait in memory until `flush`, which
 * writes the sectors they lie in to every FAT that is in use.
 *
 * Entries have 12, 16 or 28 bits; the high four bits of a FAT32 entry belong to
 * nobody and are kept. FAT12 entries straddle sectors, but a whole FAT12 table
 * fits into one piece.
 */
import { FormatError } from '../../errors.ts'
import { alignUp, KiB, SECTOR_BYTES } from '../../units.ts'
import type { BlockReader } from '../blocks.ts'
import type { BlockEditor } from '../changes.ts'
import type { FatGeometry } from './boot-sector.ts'
import { FreeMap } from './free-map.ts'

const PIECE_BYTES = 32 * KiB
/** Clean pieces beyond this many are forgotten: bounds memory on absurdly large volumes. */
const MAX_PIECES = 512

export class FatTable {
  readonly #blocks: BlockReader
  readonly #geometry: FatGeometry
  /** First byte of the FAT that is read. */
  readonly #offset: number
  /** Bytes of the FAT that hold entries, in whole sectors. */
  readonly #length: number
  readonly #mask: number
  readonly #pieces = new Map<number, DataView>()
  readonly #dirtySectors = new Set<number>()

  constructor(blocks: BlockReader, geometry: FatGeometry) {
    this.#blocks = blocks
    this.#geometry = geometry
    this.#offset = geometry.fatOffset + (geometry.activeFat ?? 0) * geometry.fatBytes
    this.#length = alignUp(Math.ceil(((geometry.clusterCount + 2) * geometry.kind) / 8), SECTOR_BYTES)
    this.#mask = { 12: 0xfff, 16: 0xffff, 32: 0x0fffffff }[geometry.kind]
  }

  /**
   * The clusters of a chain, in order.
   * @param what whose chain, for errors
   * @param limit stop after this many, when no more are of interest
   * @throws {FormatError} a loop, or a link to a cluster that is free, bad or does not exist
   */
  async chain(first: number, what: string, limit = Number.POSITIVE_INFINITY): Promise<number[]> {
    const clusters: number[] = []
    if (first < 2 || first > this.#geometry.clusterCount + 1) {
      throw new FormatError(`${what} starts at cluster ${first}, which does not exist`)
    }
    // Brent: compare with a remembered cluster that moves on in doubling steps.
    let mark = first
    let steps = 0
    let power = 1
    let cluster = first
    for (;;) {
      clusters.push(cluster)
      if (clusters.length >= limit) break
      const next = this.#get(this.#cached(cluster) ?? (await this.#load(cluster)), cluster)
      if (next >= this.#mask - 7) break
      if (next < 2 || next > this.#geometry.clusterCount + 1) {
        const problem = next === 0 ? 'a free cluster' : `cluster ${next}, which does not exist`
        throw new FormatError(
          `${what} runs into ${problem} (FAT entry at byte ${this.#entryOffset(cluster)})`,
        )
      }
      if (next === mark) {
        throw new FormatError(
          `the cluster chain of ${what} loops (FAT entry at byte ${this.#entryOffset(cluster)})`,
        )
      }
      steps += 1
      if (steps === power) {
        mark = next
        power *= 2
        steps = 0
      }
      cluster = next
    }
    return clusters
  }

  /** Chain these clusters in this order and end the chain after the last; an end mark already there stays. */
  async link(clusters: readonly number[]): Promise<void> {
    for (const [i, cluster] of clusters.entries()) {
      const next = clusters[i + 1]
      if (next !== undefined) {
        await this.#set(cluster, next)
        continue
      }
      const piece = this.#cached(cluster) ?? (await this.#load(cluster))
      if (this.#get(piece, cluster) < this.#mask - 7) await this.#set(cluster, this.#mask)
    }
  }

  async release(clusters: readonly number[]): Promise<void> {
    for (const cluster of clusters) await this.#set(cluster, 0)
  }

  /**
   * Which clusters are free, by reading the whole table. One that a chain leads
   * to is not, whatever its own entry says: it is the end of somebody's file.
   */
  async readFreeMap(): Promise<FreeMap> {
    const links: number[] = []
    const map = new FreeMap(this.#geometry.clusterCount)
    const perPiece = Math.floor((PIECE_BYTES * 8) / this.#geometry.kind)
    const end = this.#geometry.clusterCount + 2
    let ahead = 0
    for (let start = 0; start < end; start += perPiece) {
      const piece = this.#cached(start) ?? (await this.#load(start))
      for (let cluster = Math.max(start, 2); cluster < Math.min(start + perPiece, end); cluster += 1) {
        const next = this.#get(piece, cluster)
        if (next === 0) {
          map.release(cluster)
          if (cluster === ahead) links.push(cluster)
          // Most clusters lead to the one behind them, which the next turn sees; others are few.
        } else if (next === cluster + 1) ahead = next
        else if (next >= 2 && next < end) links.push(next)
      }
    }
    for (const cluster of links) map.keep(cluster)
    return map
  }

  /** Write what changed to all FATs in use. @returns whether anything had changed */
  async flush(editor: BlockEditor): Promise<boolean> {
    const { fatOffset, fatBytes, fatCount, activeFat } = this.#geometry
    const sectors = [...this.#dirtySectors].sort((a, b) => a - b)
    for (let fat = 0; fat < fatCount; fat += 1) {
      if (activeFat !== undefined && fat !== activeFat) continue
      for (const sector of sectors) {
        const at = sector * SECTOR_BYTES
        const piece = this.#pieces.get(Math.floor(at / PIECE_BYTES))
        if (piece === undefined) throw new Error('a changed piece of the FAT was forgotten')
        const bytes = new Uint8Array(piece.buffer, piece.byteOffset + (at % PIECE_BYTES), SECTOR_BYTES)
        await editor.write(fatOffset + fat * fatBytes + at, bytes)
      }
    }
    this.#dirtySectors.clear()
    return sectors.length > 0
  }

  /** Byte of the entry inside the table. */
  #position(cluster: number): number {
    return this.#geometry.kind === 12 ? Math.floor((cluster * 3) / 2) : cluster * (this.#geometry.kind / 8)
  }

  #entryOffset(cluster: number): number {
    return this.#offset + this.#position(cluster)
  }

  #cached(cluster: number): DataView | undefined {
    return this.#pieces.get(Math.floor(this.#position(cluster) / PIECE_BYTES))
  }

  async #load(cluster: number): Promise<DataView> {
    const index = Math.floor(this.#position(cluster) / PIECE_BYTES)
    const at = index * PIECE_BYTES
    const bytes = await this.#blocks.read(this.#offset + at, Math.min(PIECE_BYTES, this.#length - at))
    const piece = new DataView(Uint8Array.from(bytes).buffer)
    if (this.#pieces.size >= MAX_PIECES) this.#forgetCleanPieces()
    this.#pieces.set(index, piece)
    return piece
  }

  #forgetCleanPieces(): void {
    const perPiece = PIECE_BYTES / SECTOR_BYTES
    const dirty = new Set([...this.#dirtySectors].map((sector) => Math.floor(sector / perPiece)))
    for (const index of this.#pieces.keys()) if (!dirty.has(index)) this.#pieces.delete(index)
  }

  #get(piece: DataView, cluster: number): number {
    const at = this.#position(cluster) % PIECE_BYTES
    if (this.#geometry.kind === 32) return piece.getUint32(at, true) & this.#mask
    const value = piece.getUint16(at, true)
    if (this.#geometry.kind === 16) return value
    return cluster % 2 === 0 ? value & 0xfff : value >> 4
  }

  async #set(cluster: number, value: number): Promise<void> {
    const piece = this.#cached(cluster) ?? (await this.#load(cluster))
    if (this.#get(piece, cluster) === value) return
    const position = this.#position(cluster)
    const at = position % PIECE_BYTES
    this.#dirtySectors.add(Math.floor(position / SECTOR_BYTES))
    if (this.#geometry.kind === 32) {
      const high = piece.getUint32(at, true) & 0xf0000000
      piece.setUint32(at, (high | value) >>> 0, true)
    } else if (this.#geometry.kind === 16) {
      piece.setUint16(at, value, true)
    } else {
      const old = piece.getUint16(at, true)
      piece.setUint16(at, cluster % 2 === 0 ? (old & 0xf000) | value : (old & 0x000f) | (value << 4), true)
      this.#dirtySectors.add(Math.floor((position + 1) / SECTOR_BYTES))
    }
  }
}
