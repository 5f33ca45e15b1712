/**
 * Where the server's own paths lie on this machine: the same, or below
 * `--prefix`. And who may see them: the folders above the nodes' trees can be
 * passed through and not listed, for a TFTP server runs as nobody.
 */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { NetrootError } from '../errors.ts'

export interface Place {
  /** '' or an absolute path without a slash at its end. */
  prefix: string
}

export const at = ({ prefix }: Place, path: string): string => `${prefix}${path}`

/** May be passed through, not listed. */
export const CLOSED = 0o711
/** For root alone. */
export const PRIVATE = 0o700
/** For what the TFTP server reads. */
export const OPEN = 0o755

/** Make a folder and those above it; whatever the umask is, nobody else may write into it. */
export function makeFolder(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode })
  if (first === undefined) return
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) chmodSync(folder, mode)
}

/** Point a link somewhere else, in one step. */
export function putLink(target: string, path: string): void {
  const part = `${path}.part`
  rmSync(part, { force: true })
  symlinkSync(target, part)
  renameSync(part, path)
}

/** Everything mounted at or below a folder of this machine, the innermost last. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return table
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, code) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    )
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
}

/** Remove a folder of ours that is not finished, or not wanted any more; unmounts what an earlier run left. */
export async function removeTree(folder: string): Promise<void> {
  for (const point of (await mountsBelow(folder)).reverse()) await runTool('umount', [point])
  rmSync(folder, { recursive: true, force: true })
}

const run = promisify(execFile)

/**
 * Run a program of the system to its end.
 * @returns what it printed
 * @throws {NetrootError} it is not there, or failed, in its own words
 */
export async function runTool(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  try {
    const { stdout } = await run(program, [...args], {
      env: { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
      maxBuffer: 64 * 1024 * 1024,
      ...(signal === undefined ? {} : { signal }),
    })
    return stdout
  } catch (error) {
    signal?.throwIfAborted()
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    if (code === 'ENOENT')
      throw new NetrootError(`the program ${program} is not installed`, {
        hint: `Install it, then run this again.`,
      })
    const said = (stderr ?? '').trim().split('\n').at(-1) ?? ''
    throw new NetrootError(`${program} ${args.join(' ')} failed: ${said === '' ? String(code) : said}`, {
      cause: error,
    })
  }
}
