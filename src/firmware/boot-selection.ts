/**
 * What a board makes of a boot partition: which settings count, and which files
 * it starts from. Reads config.txt and what that includes, lists folders, and
 * opens none of the large files.
 */

import { boards } from '../cluster/boards.ts'
import type { Model } from '../cluster/node.ts'
import { readSettings, type Settings, type Situation } from './config-txt.ts'
import { type StartFiles, startFilesOf } from './start-files.ts'
import { chooseSystemFiles, type FileChoice, type SystemFiles } from './system-files.ts'

/** A boot partition, names matched without regard to case. */
export interface BootFolder {
  /** undefined: there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>
  /** Entries of a folder, [] when there is none; '' is the root. */
  list(path: string): Promise<{ name: string; directory: boolean }[]>
  /** Number of the partition; undefined: the first. */
  partition?: number
}

export interface BootSelection extends SystemFiles {
  settings: Settings
  /** undefined: the board has it in flash. */
  start?: StartFiles
}

export async function selectBoot(
  boot: BootFolder,
  model: Model,
  situation: Situation = {},
): Promise<BootSelection> {
  const text = async (path: string) => {
    const bytes = await boot.read(path)
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1')
  }
  const settings = await readSettings(
    (await text('config.txt')) ?? '',
    boards[model],
    { partition: boot.partition, ...situation },
    text,
  )
  const has = listingOf(boot)
  const system = await chooseSystemFiles(settings, model, { has, try: has })
  return { ...system, settings, start: startFilesOf(settings, boards[model]) }
}

/** The same partition with other contents for some files. */
export const withFiles = (boot: BootFolder, files: ReadonlyMap<string, Uint8Array>): BootFolder => ({
  partition: boot.partition,
  read: async (path) => files.get(path) ?? boot.read(path),
  async list(path) {
    const entries = await boot.list(path)
    const prefix = path === '' ? '' : `${path}/`
    const there = new Set(entries.map(({ name }) => name.toLowerCase()))
    for (const file of files.keys()) {
      const name = file.slice(prefix.length)
      if (file.startsWith(prefix) && !name.includes('/') && !there.has(name.toLowerCase()))
        entries.push({ name, directory: false })
    }
    return entries
  },
})

/**
 * Where the firmware reads the kernel's command line; without a board, where the
 * first does that finds one there.
 */
export async function findCmdline(
  boot: BootFolder,
  model?: Model,
  situation?: Situation,
): Promise<FileChoice> {
  if (model !== undefined) return (await selectBoot(boot, model, situation)).cmdline
  const choices: FileChoice[] = []
  for (const candidate of Object.keys(boards) as Model[])
    choices.push((await selectBoot(boot, candidate, situation)).cmdline)
  return choices.find(({ there }) => there) ?? (choices[0] as FileChoice)
}

/** The partition as a reader that knows one name only: its cmdline.txt is the file that counts. */
export const withCmdlineAt = (boot: BootFolder, cmdline: string): BootFolder => ({
  partition: boot.partition,
  read: (path) => boot.read(path.toLowerCase() === 'cmdline.txt' ? cmdline : path),
  list: (path) => boot.list(path),
})

/** Whether a file is there, each folder listed once. */
export function listingOf(boot: BootFolder): (path: string) => Promise<boolean> {
  const folders = new Map<string, Promise<Set<string>>>()
  const namesIn = async (folder: string) =>
    new Set(
      (await boot.list(folder)).filter((entry) => !entry.directory).map(({ name }) => name.toLowerCase()),
    )
  return async (path) => {
    const parts = path
      .toLowerCase()
      .split('/')
      .filter((part) => part !== '')
    const name = parts.pop() ?? ''
    const folder = parts.join('/')
    const names = folders.get(folder) ?? namesIn(folder)
    folders.set(folder, names)
    return (await names).has(name)
  }
}
