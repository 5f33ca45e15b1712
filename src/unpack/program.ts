/** Decoding by a program of the system (`xz`, `zstd`), where Node and our own decoders can't. */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { FormatError } from '../errors.ts'
import type { PackedFile } from './decoding.ts'

/** Whether `name` is on the PATH. */
export function hasProgram(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Enough of what a program says on stderr to be told; the rest is dropped. */
const STDERR_CHARACTERS = 2000

/**
 * What `name args…` writes to its standard output when it reads the file on its
 * standard input: the name never reaches its command line.
 * @throws {FormatError} it says that the file is damaged (any status but 0)
 */
export async function* decodeWithProgram(
  name: string,
  args: readonly string[],
  file: PackedFile,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted()
  await file.reach?.(file.size)
  // All other reading of this handle names its offset, so the program starts at the beginning.
  const child: ChildProcess = spawn(name, args, {
    stdio: [file.handle.fd, 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', XZ_OPT: '', XZ_DEFAULTS: '' },
  })
  const { stdout, stderr } = child
  if (stdout === null || stderr === null) throw new Error('a child without the pipes it was given')
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (status, killedBy) =>
      resolve(status === 0 ? undefined : `status ${status ?? killedBy}`),
    )
  })
  let complaint = ''
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, STDERR_CHARACTERS)
  })
  const stop = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  try {
    let bytes = 0
    for await (const chunk of stdout) {
      bytes += chunk.length
      yield chunk
    }
    const problem = await ended
    signal.throwIfAborted()
    if (problem !== undefined) {
      throw new FormatError(
        `${file.path} cannot be decoded after ${bytes} bytes of its image: ${name} says ${JSON.stringify(complaint.trim())} (${problem})`,
        { hint: 'Download it again; if it stays so, the publisher’s file is broken.' },
      )
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
    await ended
  }
}
