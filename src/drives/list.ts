/** The machine's drives. Nothing is opened for writing, and nothing spawned on Linux. */
import { existsSync } from 'node:fs'
import { UsageError } from '../errors.ts'
import type { Drive } from './drive.ts'
import { listLinuxDrives, nameLostFiles, readContents, readLinuxDevices } from './linux.ts'

export interface ListOptions {
  /** Also read from the drives what lies on them, where this user may. */
  contents?: boolean
}

/**
 * Every whole drive with a medium in it, by path.
 * @throws {UsageError} on a system whose drives piimage does not know
 * @throws {DriveError} the system's own tools don't answer
 */
export async function listDrives(
  platform: NodeJS.Platform = process.platform,
  { contents = false }: ListOptions = {},
): Promise<Drive[]> {
  if (platform === 'linux') {
    const devices = { ...(await nameLostFiles(readLinuxDevices())), proc: contents ? '/proc' : undefined }
    if (contents) await readContents(devices)
    return listLinuxDrives(devices)
  }
  if (platform === 'darwin') return listMacDrives()
  if (platform === 'win32') return (await import('./windows.ts')).listWindowsDrives()
  throw noDrivesHere(platform)
}

export function noDrivesHere(platform: NodeJS.Platform): UsageError {
  const name = platform === 'win32' ? 'Windows' : platform
  return new UsageError(`writing drives is not supported on ${name}`, {
    hint: 'Make an image file (piimage bake) and write it with Raspberry Pi Imager; or run piimage in WSL with the drive attached (wsl --mount \\\\.\\PhysicalDriveN --bare), or on Linux or macOS.',
  })
}

/** Where tests of piimage on a Mac say that disk images may be written; nothing else sets it. */
const ACCEPT_DISK_IMAGES = Symbol.for('piimage.tests.acceptDiskImages')

async function listMacDrives(): Promise<Drive[]> {
  const { describeMacDrives, wholeMacDisks } = await import('./macos.ts')
  const { askDiskutil, askIoregistry } = await import('./diskutil.ts')
  const list = await askDiskutil('list')
  const ids = [...wholeMacDisks(list), '/']
  // A disk that went away since tells nothing.
  const infos = new Map(
    await Promise.all(
      ids.map(async (id) => [id, await askDiskutil('info', id).catch(() => undefined)] as const),
    ),
  )
  return describeMacDrives(list, (id) => infos.get(id), {
    media: await askIoregistry(),
    exists: existsSync,
    acceptDiskImages: ACCEPT_DISK_IMAGES in globalThis,
  }).filter(({ path }) => infos.get(path.slice('/dev/'.length)) !== undefined)
}
