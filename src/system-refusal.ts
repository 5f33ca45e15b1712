/**
 * What the system refuses where nobody foresaw it: still the machine's state
 * and no bug. Whoever knows what was being done says it in better words.
 */
import { existsSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { type Refusal, refusalOf, saysOutOfMemory } from './errno.ts'
import { UsageError } from './errors.ts'

interface Cause {
  problem: string
  hint: string
}

const causes: Partial<Record<Refusal, Cause>> = {
  full: { problem: 'there is no room left', hint: 'Free some space, or name another folder.' },
  'read-only': {
    problem: 'the file system is read-only',
    hint: 'Name another folder, or mount it writable.',
  },
  denied: { problem: 'this may not be touched', hint: 'Check whose it is and its permissions.' },
  failing: { problem: "a drive can't be read or written", hint: 'It fails: see dmesg.' },
}

const descriptors: Cause = {
  problem: 'too many files are open',
  hint: 'Let the process open more: ulimit -n 1024, or LimitNOFILE= of a service.',
}
const memory: Cause = {
  problem: 'there is not enough memory',
  hint: 'Raise the limit (ulimit -v, or that of the container), or end other programs.',
}
const processes: Cause = {
  problem: 'no further process can be started',
  hint: 'Raise the limit (ulimit -u), or end other programs.',
}

/** How the limits of a process show: by errno, or as Node and V8 say it. */
const limits: Readonly<Record<string, Cause>> = {
  EMFILE: descriptors,
  ENFILE: descriptors,
  ENOMEM: memory,
  ERR_MEMORY_ALLOCATION_FAILED: memory,
  ERR_WORKER_OUT_OF_MEMORY: memory,
  ERR_WORKER_INIT_FAILED: memory,
  EAGAIN: processes,
}

/** @returns undefined: not the system's word */
export function systemRefusal(error: unknown): UsageError | undefined {
  if (!(error instanceof Error)) return undefined
  const { syscall, message } = error as NodeJS.ErrnoException
  const refusal = syscall === undefined ? undefined : refusalOf(error)
  const cause = limitOf(error) ?? (refusal && causes[refusal]) ?? goneOf(error)
  return cause && new UsageError(`${cause.problem} (${message})`, { hint: cause.hint, cause: error })
}

function limitOf(error: NodeJS.ErrnoException): Cause | undefined {
  if (error instanceof RangeError && saysOutOfMemory(error.message)) return memory
  if (error.code === 'ERR_MODULE_NOT_FOUND' && isThere(error.message)) return descriptors
  return Object.hasOwn(limits, error.code ?? '') ? limits[error.code ?? ''] : undefined
}

/** Node looks for a module by opening it, and says that there is none. Looking at it takes no descriptor. */
function isThere(complaint: string): boolean {
  const [, name, importer] =
    /^Cannot find (?:package|module) '([^']+)'(?: imported from (\S+))?/.exec(complaint) ?? []
  if (name === undefined) return false
  // Of a package Node names a file that it guesses; the folder is what must be there.
  if (isAbsolute(name)) return existsSync(/\/node_modules\//.test(name) ? dirname(name) : name)
  for (let folder = dirname(importer ?? '/'); folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'node_modules', name, 'package.json'))) return true
  return false
}

/** A file is missing because its folder is: that was there when the work began. */
function goneOf({ code, path }: NodeJS.ErrnoException): Cause | undefined {
  if (code !== 'ENOENT' || path === undefined || !isAbsolute(path) || existsSync(dirname(path)))
    return undefined
  return {
    problem: `the folder ${dirname(path)} is gone`,
    hint: 'It was removed while it was in use. Run again: what is missing is made anew.',
  }
}
