/**
 * Locales of a root file system: those it could make (i18n/SUPPORTED) and those
 * that are made already (folders and locale-archive).
 *
 * Source: locale-gen(8), localedef(1); glibc, locale/locarchive.h for the archive.
 */
import { type RootFiles, readRootText } from './root-files.ts'

export interface Locales {
  /** As locale.gen has them: `en_US.UTF-8`, `de_DE@euro`; empty: the list isn't there. */
  supported: ReadonlySet<string>
  /** As `locale -a` has them: `C.utf8`, `en_GB.utf8`. */
  made: ReadonlySet<string>
}

const ARCHIVE = '/usr/lib/locale/locale-archive'
const ARCHIVE_MAGIC = 0xde020109
const HEADER_BYTES = 56
/** Entries of the table of names: hash, name, record. */
const NAME_BYTES = 12
/** Debian's archive of every locale there is has about a thousand names. */
const MAX_NAMES = 16_384
const LONGEST_NAME = 64

export async function readLocales(root: RootFiles): Promise<Locales | undefined> {
  const list = await readRootText(root, '/usr/share/i18n/SUPPORTED')
  const supported = (list ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/, 1)[0] ?? '')
    .filter((name) => name !== '' && !name.startsWith('#'))
  const folders = (await root.list('/usr/lib/locale')).filter((name) => name !== 'locale-archive')
  const made = [...folders, ...(await readArchive(root))]
  if (list === undefined && made.length === 0) return undefined
  return { supported: new Set(supported), made: new Set(made) }
}

/** Names in glibc's archive, which is in the byte order of its machine: little-endian on every Pi. */
async function readArchive(root: RootFiles): Promise<string[]> {
  const header = await root.read(ARCHIVE, 0, HEADER_BYTES)
  if (header === undefined || header.length < HEADER_BYTES) return []
  const field = (index: number) => Buffer.from(header).readUInt32LE(4 * index)
  const [offset, size] = [field(2), field(4)]
  if (field(0) !== ARCHIVE_MAGIC || size > MAX_NAMES) return []
  const table = Buffer.from((await root.read(ARCHIVE, offset, size * NAME_BYTES)) ?? [])
  const names: string[] = []
  for (let at = 0; at + NAME_BYTES <= table.length; at += NAME_BYTES) {
    const nameOffset = table.readUInt32LE(at + 4)
    if (nameOffset === 0) continue
    const bytes = Buffer.from((await root.read(ARCHIVE, nameOffset, LONGEST_NAME)) ?? [])
    const end = bytes.indexOf(0)
    if (end > 0) names.push(bytes.toString('latin1', 0, end))
  }
  return names
}
