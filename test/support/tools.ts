/**
 * What tests need from the machine. A test whose tool is missing is skipped and
 * says which Debian package to install; with PIIMAGE_ALL_TESTS=1, as in CI, it
 * fails instead, so that nothing is skipped unseen.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

const searchPath = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter)

function findTool(name: string): string | undefined {
  for (const folder of searchPath) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

/** @returns whether the test must stop here: true after it was skipped */
function missing(t: TestContext, what: string): boolean {
  if (process.env.PIIMAGE_ALL_TESTS === '1') throw new Error(what)
  t.skip(what)
  return true
}

/**
 * The full path of a tool, or undefined after the test was skipped.
 * @throws {Error} the tool is absent and PIIMAGE_ALL_TESTS allows no skipping
 */
export function needTool(t: TestContext, name: string, debianPackage: string): string | undefined {
  const path = findTool(name)
  if (path === undefined) missing(t, `needs ${name}: apt-get install ${debianPackage}`)
  return path
}

/** Whether a file of a package is there that is no program on the search path; false after the test was skipped. */
export function needFile(t: TestContext, path: string, debianPackage: string): boolean {
  if (existsSync(path)) return true
  missing(t, `needs ${path}: apt-get install ${debianPackage}`)
  return false
}

/** Whether the test runs as root (loop devices, mounts, owners). */
export function needRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return true
  missing(t, 'needs root')
  return false
}

/** The value of an environment variable that points at something only some machines have. */
export function needEnv(t: TestContext, name: string, what: string): string | undefined {
  const value = process.env[name]
  if (value !== undefined && value !== '') return value
  t.skip(`${name} is not set: ${what}`)
  return undefined
}

export interface Ran {
  status: number
  stdout: string
  stderr: string
}

/** Run a tool to its end; never throws on a bad status: judge it yourself. */
export function run(
  command: string,
  args: readonly string[],
  options: { input?: string | Uint8Array; env?: Record<string, string>; cwd?: string } = {},
): Ran {
  const result = spawnSync(findTool(command) ?? command, args, {
    input: options.input,
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', ...options.env },
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  })
  if (result.error !== undefined) throw result.error
  return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr }
}
