/** The machine's drives, on Linux and macOS. Nothing is opened for writing, and nothing spawned on Linux. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { UsageError } from '../errors.ts'
import type { Drive } from './drive.ts'
import { listLinuxDrives, readLinuxDevices } from './linux.ts'
import type { PlistValue } from './plist.ts'

const runFile = promisify(execFile)

/**
 * Every whole drive with a medium in it, by path.
 * @throws {UsageError} on Windows, where piimage writes no drives
 */
export async function listDrives(platform: NodeJS.Platform = process.platform): Promise<Drive[]> {
  if (platform === 'linux') return listLinuxDrives(readLinuxDevices())
  if (platform === 'darwin') return listMacDrives()
  throw noDrivesHere(platform)
}

export function noDrivesHere(platform: NodeJS.Platform): UsageError {
  const name = platform === 'win32' ? 'Windows' : platform
  return new UsageError(`writing drives is not supported on ${name}`, {
    hint: 'piimage bake makes image files here; write them with Raspberry Pi Imager, or run piimage on Linux or macOS.',
  })
}

async function listMacDrives(): Promise<Drive[]> {
  const { describeMacDrives, wholeMacDisks } = await import('./macos.ts')
  const list = await diskutil('list')
  const infos = new Map<string, PlistValue>()
  for (const id of wholeMacDisks(list)) infos.set(id, await diskutil('info', id))
  return describeMacDrives(list, (id) => infos.get(id) ?? {})
}

/** `diskutil VERB -plist ARGUMENTS` */
async function diskutil(verb: string, ...args: string[]): Promise<PlistValue> {
  const { stdout } = await runFile('diskutil', [verb, '-plist', ...args], { maxBuffer: 64 * 1024 * 1024 })
  return (await import('./plist.ts')).parsePlist(stdout)
}
