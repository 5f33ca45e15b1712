/**
 * Makes a process believe that it runs on a Mac: loaded before piimage by
 * `--import`, and by nothing in the product. What Apple's kernel would do to a
 * raw disk is done here to the loop device behind it: a lock that a second
 * opener is refused (O_EXLOCK), whole sectors only, and the refusals that files
 * in FAKE_MAC ask for, each holding a number:
 *
 *   open-busy    so many times EBUSY from open
 *   open-denied  EPERM from open, as the privacy settings do
 *   pull-after   after so many bytes written, every request fails with ENXIO
 *   hold-writes  writes wait until the file is gone; `waiting` is there once one does
 */
import fs, { existsSync, readFileSync, writeFileSync } from 'node:fs'
import fsPromises, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const state = process.env.FAKE_MAC ?? ''
const O_EXLOCK = 0x20
const SECTOR_BYTES = 512

Object.defineProperty(process, 'platform', { value: 'darwin' })
Reflect.deleteProperty(fs.constants, 'O_DIRECT')

/** One less of what a file counts down; whether there was one. */
function takeOne(name: string): boolean {
  const file = join(state, name)
  const left = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  if (left > 0) writeFileSync(file, String(left - 1))
  return left > 0
}

const fault = (code: string, call: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: stand-in for macOS, ${call}`), { code, syscall: call })

const realOpen = fsPromises.open
fsPromises.open = async (path, flags, mode) => {
  if (!/^\/dev\/rdisk\d+$/.test(String(path))) return realOpen(path, flags, mode)
  if (takeOne('open-busy')) throw fault('EBUSY', 'open')
  if (takeOne('open-denied')) throw fault('EPERM', 'open')
  const wantsLock = typeof flags === 'number' && (flags & O_EXLOCK) !== 0
  const known = typeof flags === 'number' ? flags & ~(O_EXLOCK | fs.constants.O_NONBLOCK) : flags
  try {
    const locked = typeof known === 'number' && wantsLock ? known | fs.constants.O_EXCL : known
    return asRawDisk(await realOpen(path, locked, mode))
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EBUSY' && wantsLock ? fault('EAGAIN', 'open') : error
  }
}
syncBuiltinESMExports()

function asRawDisk(handle: FileHandle): FileHandle {
  let written = 0
  const check = (call: string, length: unknown, position: unknown) => {
    const limit = existsSync(join(state, 'pull-after'))
      ? Number(readFileSync(join(state, 'pull-after'), 'utf8'))
      : undefined
    if (limit !== undefined && written >= limit) throw fault('ENXIO', call)
    if (Number(length) % SECTOR_BYTES !== 0 || Number(position) % SECTOR_BYTES !== 0)
      throw fault('EINVAL', call)
  }
  type Request = (bytes: Buffer, offset: number, length: number, position: number) => Promise<unknown>
  const [read, write] = [handle.read.bind(handle), handle.write.bind(handle)] as unknown as [Request, Request]
  Object.assign(handle, {
    read: async (into: Buffer, offset: number, length: number, position: number) => {
      check('read', length, position)
      return read(into, offset, length, position)
    },
    write: async (bytes: Buffer, offset: number, length: number, position: number) => {
      check('write', length, position)
      while (existsSync(join(state, 'hold-writes'))) {
        writeFileSync(join(state, 'waiting'), '')
        await sleep(50)
      }
      written += length
      return write(bytes, offset, length, position)
    },
  })
  return handle
}
