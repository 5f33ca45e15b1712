/**
 * Tree entries → a tar archive that GNU tar unpacks to the same tree.
 *
 * The package tar-stream writes headers, padding and the end. It takes pax
 * values as UTF-8 only, clamps owners above 262143 and knows no holes, so the
 * blocks with those (./pax.ts) are our own and go between its entries.
 */
import { type Pack, pack } from 'tar-stream'
import type { Range } from '../disk/blocks.ts'
import { FormatError } from '../errors.ts'
import type { TreeEntry } from './manifest.ts'
import { fitsHeader, formatPax, formatSparseMap, paxRecords, SECONDS_MAX } from './pax.ts'

/** What a file holds, in order; without its holes where it has some. */
export interface TarBody {
  /** The parts with data; undefined for a file without holes. */
  data: Range[] | undefined
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

type Header = Parameters<Pack['entry']>[0]

/** The largest device number a header holds: six octal digits. */
const DEVICE_MAX = 0o777777

export class TarWriter {
  readonly #pack = pack()
  #failure: Error | undefined

  constructor() {
    // Told to whoever adds the next entry; the reader of `chunks` is told as well.
    this.#pack.on('error', (error) => {
      this.#failure = error
    })
  }

  /** The archive. Must be read while entries are added. */
  chunks(): AsyncIterable<Uint8Array> {
    return this.#pack as AsyncIterable<Uint8Array>
  }

  /** Anything but a further name of a file that is there already. */
  async add(entry: TreeEntry, body?: TarBody): Promise<void> {
    const { type } = entry
    if (type === 'socket') throw new Error(`a tar holds no socket: ${entry.path}`)
    const { major = 0, minor = 0 } = entry.rdev ?? {}
    if (Math.max(major, minor) > DEVICE_MAX)
      throw new FormatError(`${entry.path}: a tar holds no device ${major}:${minor}`)
    const map = body?.data === undefined ? undefined : formatSparseMap(body.data, entry.size)
    const dataBytes = body?.data?.reduce((sum, run) => sum + run.length, 0) ?? entry.size
    await this.#write(
      entry,
      { type, size: dataBytes + (map?.length ?? 0), devmajor: major, devminor: minor },
      { linkName: entry.target, data: body?.data, map, chunks: body?.chunks },
    )
  }

  /** A further name of the file at `first`. */
  async link(entry: TreeEntry, first: string): Promise<void> {
    const plain = { ...entry, xattrs: {} }
    await this.#write(plain, { type: 'link', size: 0 }, { linkName: archiveName(first) })
  }

  async finish(): Promise<void> {
    this.#pack.finalize()
  }

  /** Ends `chunks` with an error. */
  destroy(error: Error): void {
    this.#failure ??= error
    this.#pack.destroy(error)
  }

  async #write(
    entry: TreeEntry,
    fields: Partial<Header>,
    rest: { linkName?: string | undefined; data?: Range[] | undefined; map?: Buffer | undefined } & Partial<
      Pick<TarBody, 'chunks'>
    >,
  ): Promise<void> {
    const name = archiveName(entry.path)
    const records = paxRecords(entry, name, rest.linkName, rest.data)
    if (records.length > 0) {
      const blocks = formatPax(records)
      // tar-stream writes headers of this type for its own records; its types don't say so.
      const header = { name: 'pax', type: 'pax-header', size: blocks.length, mode: 0o644, mtime: new Date(0) }
      await this.#entry(header as unknown as Header)
      this.#pack.push(blocks)
    }
    const header: Header = {
      name: fitsHeader(name) ? name : 'named-in-pax',
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      mtime: new Date(Math.min(Math.max(entry.mtime.seconds, 0), SECONDS_MAX) * 1000),
      ...fields,
    }
    if (rest.linkName !== undefined)
      header.linkname = fitsHeader(rest.linkName) ? rest.linkName : 'named-in-pax'
    await this.#entry(header, rest.map, rest.chunks)
  }

  async #entry(header: Header, map?: Buffer, chunks?: TarBody['chunks']): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    let sink: ReturnType<Pack['entry']> | undefined
    const done = new Promise<void>((resolve, reject) => {
      sink = this.#pack.entry(header, (error) => (error ? reject(error) : resolve()))
    })
    // Awaited below, maybe too late for Node.
    done.catch(() => {})
    const stream = sink as ReturnType<Pack['entry']>
    stream.on('error', () => {})
    if (header.type === 'file') {
      const write = async (bytes: Uint8Array) => {
        if (!stream.write(bytes)) await Promise.race([drained(stream), done])
        if (this.#failure !== undefined) throw this.#failure
      }
      if (map !== undefined) await write(map)
      for await (const chunk of chunks ?? []) await write(chunk)
      stream.end(undefined)
    }
    await done
  }
}

function drained(stream: ReturnType<Pack['entry']>): Promise<void> {
  return new Promise((resolve) => stream.once('drain', resolve))
}

/** As GNU tar names what it finds in `.`. */
function archiveName(path: string): string {
  return path === '' ? './' : `./${path}`
}
