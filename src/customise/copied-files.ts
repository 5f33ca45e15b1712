/**
 * `copy:` in overlay.yaml: files that lie beside the cluster file and travel in
 * the payload (packages for a cluster without internet, a repository's key).
 *
 * Their digests travel with them, as `NAME.sha256`, of a folder as `SHA256SUMS`:
 * an SD card loses bits, and
 * what is installed as root is checked on the node before it is.
 */
import { bytesOf } from '../boot/boot-files.ts'
import { PAYLOAD_NAMES } from '../boot/payload-paths.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import { sha256 } from '../digest.ts'
import { UsageError } from '../errors.ts'
import { readElfMachine } from '../root/elf.ts'
import { type LinearPattern, linearPattern } from './foreign-schema.ts'
import { type Reach, readFiles } from './overlay-files.ts'

export interface RawCopy {
  /** null: nothing is copied. */
  from: unknown
  to: string
  /** Regular expression: which files of a folder. */
  names?: string
  /** It is a program for the image's kind of processor, and holds this text. */
  program?: string
}

/** Names that a FAT and a shell take without a thought. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9.+_~%-]*$/

/**
 * @returns files by their path in the payload
 * @throws {UsageError} nothing there, or nothing that can travel
 */
export async function copiedFiles(
  { from, to, names = '', program }: RawCopy,
  reach: Reach,
  where: string,
  arch: LockedImage['arch'],
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  const [first = ''] = to.toLowerCase().split('/')
  if (PAYLOAD_NAMES.has(first) || PAYLOAD_NAMES.has(first.replace(/\.sha256$/, '')))
    throw new UsageError(`${where}: to: ${to} is a place of piimage's own in the payload`, {
      hint: 'Choose a folder with the name of the overlay.',
    })
  if (from === null) return files
  const path = String(from)
  const found = await readFiles(path, reach, patternOf(names, where), where)
  if (found instanceof Uint8Array) {
    if (program !== undefined) checkProgram(found, program, arch, `${where}: ${path}`)
    const name = to.slice(to.lastIndexOf('/') + 1)
    return files.set(to, found).set(`${to}.sha256`, bytesOf(`${sha256(found)}  ${name}\n`))
  }
  let sums = ''
  for (const [name, content] of found) {
    if (!plainName.test(name))
      throw new UsageError(
        `${where}: ${JSON.stringify(name)} in ${path} is not a name for a boot partition`,
        {
          hint: 'Use letters, digits and . + _ ~ % - only.',
        },
      )
    sums += `${sha256(content)}  ${name}\n`
    files.set(`${to}/${name}`, content)
  }
  if (files.size === 0)
    throw new UsageError(`${where}: the folder ${path} holds none of the files that belong there`, {
      hint: names === '' ? 'Put the files into it.' : `Their names must match ${names}.`,
    })
  return files.set(`${to}/SHA256SUMS`, bytesOf(sums))
}

function patternOf(names: string, where: string): LinearPattern {
  try {
    return linearPattern(names)
  } catch (error) {
    throw new UsageError(`${where}: names: ${(error as Error).message}`, {
      hint: 'Look-around and back-references are not supported: piimage matches in linear time.',
      cause: error,
    })
  }
}

const machineOf = { arm64: 'arm64', armhf: 'arm' } as const

/** Other machines that people have, by their numbers in ELF. */
const others: Record<string, string> = { '3': 'x86', '62': 'x86-64', '243': 'RISC-V' }

/** @throws {UsageError} it would not run on the node, or is another program */
function checkProgram(bytes: Uint8Array, holds: string, arch: LockedImage['arch'], what: string): void {
  const machine = readElfMachine(bytes)
  if (machine === undefined)
    throw new UsageError(`${what} is not a program (no ELF file)`, {
      hint: 'Was the download cut off, or is it an error page? Fetch it again.',
    })
  if (machine !== machineOf[arch])
    throw new UsageError(`${what} is a program for ${others[machine] ?? machine}, and the image is ${arch}`, {
      hint: `Name the one for ${arch}.`,
    })
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(holds))
    throw new UsageError(`${what} is another program: ${JSON.stringify(holds)} is not in it`, {
      hint: 'Every release has its version in it. Fetch it again.',
    })
}
