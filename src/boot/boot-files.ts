/**
 * A boot partition as names and bytes, whatever holds them. Paths are relative
 * to its root, with `/`, and match without regard to case, as FAT does.
 */

export interface BootEntry {
  name: string
  directory: boolean
}

/** What planning needs: it only reads. */
export interface BootFiles {
  /** undefined: there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>
  /** Entries of a folder, [] when there is none; '' is the root. */
  list(path: string): Promise<BootEntry[]>
  /** Number of the partition they lie on; undefined: the first. */
  partition?: number
}

/** Files from a map of path → content. */
export function bootFilesOf(files: ReadonlyMap<string, Uint8Array>): BootFiles {
  const byKey = new Map([...files].map(([path, content]) => [path.toLowerCase(), { path, content }]))
  return {
    read: async (path) => byKey.get(path.toLowerCase())?.content,
    list: async (path) => {
      const prefix = path === '' ? '' : `${path.toLowerCase()}/`
      const entries = new Map<string, BootEntry>()
      for (const [key, { path: full }] of byKey) {
        if (!key.startsWith(prefix)) continue
        const rest = full.slice(prefix.length)
        const slash = rest.indexOf('/')
        const name = slash === -1 ? rest : rest.slice(0, slash)
        entries.set(name.toLowerCase(), { name, directory: slash !== -1 })
      }
      return [...entries.values()]
    },
  }
}

/** The same files, each read once and each folder listed once, for the many nodes of one image. */
export function rememberedBootFiles(boot: BootFiles): BootFiles {
  const read = new Map<string, ReturnType<BootFiles['read']>>()
  const listed = new Map<string, ReturnType<BootFiles['list']>>()
  const once = <T>(known: Map<string, T>, path: string, ask: (path: string) => T): T => {
    const key = path.toLowerCase()
    const there = known.get(key) ?? ask(path)
    known.set(key, there)
    return there
  }
  return {
    partition: boot.partition,
    read: (path) => once(read, path, boot.read),
    list: (path) => once(listed, path, boot.list),
  }
}

const encoder = new TextEncoder()
export const bytesOf = (text: string): Uint8Array => encoder.encode(text)

/** The text of a file, or undefined. A byte-order mark is dropped. */
export async function readText(boot: BootFiles, path: string): Promise<string | undefined> {
  const bytes = await boot.read(path)
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

/** Every file below a folder, with its full path, sorted. */
export async function listTree(boot: BootFiles, folder: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await boot.list(folder)) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.directory) found.push(...(await listTree(boot, path)))
    else found.push(path)
  }
  return found.sort()
}
