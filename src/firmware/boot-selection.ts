/**
 * What a board makes of a boot partition: which settings count, and which files
 * it starts from. Reads config.txt and what that includes, lists folders, and
 * opens none of the large files.
 */

import { boards } from '../cluster/boards.ts'
import type { Model } from '../cluster/node.ts'
import { readSettings, type Settings, type Situation } from './config-txt.ts'
import { type StartFiles, startFilesOf } from './start-files.ts'
import { chooseSystemFiles, type SystemFiles } from './system-files.ts'

/** A boot partition, names matched without regard to case. */
export interface BootFolder {
  /** undefined: there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>
  /** Entries of a folder, [] when there is none; '' is the root. */
  list(path: string): Promise<{ name: string; directory: boolean }[]>
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
  const settings = await readSettings((await text('config.txt')) ?? '', boards[model], situation, text)
  const has = listingOf(boot)
  const system = await chooseSystemFiles(settings, model, { has, try: has })
  return { ...system, settings, start: startFilesOf(settings, boards[model]) }
}

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
