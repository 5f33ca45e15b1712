/**
 * The tree that an archive describes, entry by entry, with every name judged
 * before anything is made of it.
 *
 * An archive can name files outside of the folder (`/etc/x`, `../x`), or put a
 * link first and then something below it. So a name is cleaned, whatever is
 * above it must be a directory of this tree, nothing but a directory may come
 * twice, and a hard link's other name must be a file of this tree. Symbolic
 * links may say what they like: nothing is ever written through one.
 */
import { FormatError } from '../errors.ts'
import { sortEntries, type TreeEntry } from './manifest.ts'
import type { ArchiveEntry } from './tar-reader.ts'

export interface PlacedEntry {
  entry: TreeEntry
  /** The file that it is a further name of. */
  first?: TreeEntry
  /** Directories to be made first, each before what is in it; `entry` among them if it is a new one. */
  newDirectories: TreeEntry[]
}

export class ArchiveTree {
  readonly #archive: string
  readonly #entries = new Map<string, TreeEntry>()
  #hardLinks = 0

  /** @param archive its name, for errors */
  constructor(archive: string) {
    this.#archive = archive
    this.#entries.set('', directory(''))
  }

  /** All entries so far, in the order of a TreeManifest. */
  entries(): TreeEntry[] {
    return sortEntries([...this.#entries.values()])
  }

  /** @throws {FormatError} a name or link that leads out of the tree, or through something that is no directory */
  place(found: ArchiveEntry): PlacedEntry {
    const path = this.#clean(found.entry.path)
    const entry = { ...found.entry, path }
    const newDirectories = this.#makeParents(path)
    const before = this.#entries.get(path)
    if (entry.type === 'directory') {
      if (before !== undefined && before.type !== 'directory') throw this.#bad(path, 'is there twice')
      if (before === undefined) newDirectories.push(entry)
      this.#entries.set(path, entry)
      return { entry, newDirectories }
    }
    if (before !== undefined) throw this.#bad(path, 'is there twice')
    if (found.linkTo === undefined) {
      this.#entries.set(path, entry)
      return { entry, newDirectories }
    }
    const first = this.#entries.get(this.#clean(found.linkTo))
    if (first === undefined || first.type === 'directory')
      throw this.#bad(
        path,
        `is another name of ${JSON.stringify(found.linkTo)}, which is not a file before it`,
      )
    if (first.hardLink === undefined) {
      this.#hardLinks += 1
      first.hardLink = this.#hardLinks
    }
    const link = { ...first, path }
    this.#entries.set(path, link)
    return { entry: link, first, newDirectories }
  }

  /** Archives need not name the directories that their files are in. */
  #makeParents(path: string): TreeEntry[] {
    const made: TreeEntry[] = []
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash)
      const there = this.#entries.get(parent)
      if (there === undefined) {
        const entry = directory(parent)
        this.#entries.set(parent, entry)
        made.push(entry)
      } else if (there.type !== 'directory')
        throw this.#bad(path, `would lie in ${JSON.stringify(parent)}, which is a ${there.type}`)
    }
    return made
  }

  /** `./usr//bin/` → `usr/bin` */
  #clean(path: string): string {
    if (path.startsWith('/')) throw this.#bad(path, 'is an absolute name')
    if (path.includes('\0')) throw this.#bad(path, 'is not a valid name')
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    if (parts.includes('..')) throw this.#bad(path, 'leads out of the folder')
    return parts.join('/')
  }

  #bad(path: string, what: string): FormatError {
    return new FormatError(`${this.#archive}: ${JSON.stringify(path)} ${what}`, {
      hint: 'Nothing was extracted. A tar of a root file system holds no such names: get it from its publisher again.',
    })
  }
}

function directory(path: string): TreeEntry {
  const mtime = { seconds: 0, nanoseconds: 0 }
  return { path, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime, size: 0 }
}
