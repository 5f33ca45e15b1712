/**
 * Whether a drive is still the one that a person confirmed. A path names a
 * place: another card may be put into the same reader, and a number or a name
 * may be given to another device. What the medium itself is known by is
 * compared: size, model, serial, the kernel's own number of it, the file behind
 * a loop device.
 */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DriveError } from '../errors.ts'
import type { Drive } from './drive.ts'

/** What tells one medium from another; what is absent is not compared. */
export type DriveIdentity = Pick<Drive, 'path' | 'size'> & Partial<Drive>

const FACTS: readonly [key: keyof DriveIdentity, name: string][] = [
  ['size', 'size'],
  ['sectorSize', 'sector size'],
  ['model', 'model'],
  ['serial', 'serial'],
  ['bus', 'bus'],
  ['number', 'device number'],
  ['backing', 'backing file'],
  ['sequence', 'medium'],
]

/**
 * @param confirmed what the person saw; facts that it does not have at all are not compared
 * @param now undefined: there is nothing at its path
 * @throws {DriveError} it is another one
 */
export function requireSameDrive(confirmed: DriveIdentity, now: Drive | undefined): void {
  if (now === undefined)
    throw new DriveError(`${confirmed.path} is gone`, {
      hint: 'Put the card in again; `piimage drives` shows its path.',
    })
  const changed = FACTS.find(([key]) => key in confirmed && confirmed[key] !== now[key])
  if (changed === undefined) return
  const [key, name] = changed
  throw otherDrive(
    confirmed.path,
    `its ${name} was ${confirmed[key] ?? 'not known'}, and is ${now[key] ?? 'not known'}`,
  )
}

export const otherDrive = (path: string, how: string): DriveError =>
  new DriveError(`${path} is not the drive that was confirmed: ${how}`, {
    hint: 'Another card was put in meanwhile? Run the command again, and look at the table before you confirm.',
  })

/**
 * A look at what changes when the medium does, cheap enough for every request.
 * @returns whether it is still the same; always, where the system has no such number
 */
export function watchMedium(drive: DriveIdentity, root = '/'): () => boolean {
  const folder =
    drive.number === undefined
      ? join(root, 'sys/class/block', basename(drive.path))
      : join(root, 'sys/dev/block', drive.number)
  const look = (): string => ['diskseq', 'size', 'dev'].map((name) => read(join(folder, name))).join(' ')
  const expected = look()
  // A drive that is gone answers no request; that has its own words.
  return () => {
    const now = look()
    return now === expected || now.trim() === ''
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
