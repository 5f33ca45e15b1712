/** Files as block devices. Attached with `losetup -f` only (never a fixed name), detached when the test ends. */
import { closeSync, ftruncateSync, openSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { run } from './tools.ts'

export interface LoopOptions {
  readOnly?: boolean
  /** Logical sector size; 4096 makes a "4Kn" card. */
  sectorSize?: 512 | 4096
  /** Let the loop device read its backing past the cache, as a card does. Default: true. */
  directIo?: boolean
  /** Where in the file the device begins, bytes: a partition. */
  offset?: number
}

/** Attach `file` until the test ends. @returns the device's path, for example /dev/loop3 */
export function attachLoop(t: TestContext, file: string, options: LoopOptions = {}): string {
  const path = attachLoopDevice(file, options)
  t.after(() => detachLoopDevice(path))
  return path
}

/** Attach `file`; the caller detaches. */
export function attachLoopDevice(file: string, options: LoopOptions = {}): string {
  const args = ['--show', '--find']
  if (options.readOnly) args.push('--read-only')
  if (options.sectorSize !== undefined) args.push('--sector-size', String(options.sectorSize))
  if (options.offset !== undefined) args.push('--offset', String(options.offset))
  if (options.directIo !== false) args.push('--direct-io=on')
  // Two tests may be handed the same free device; the later one tries again.
  for (let tries = 1; ; tries += 1) {
    const { status, stdout, stderr } = run('losetup', [...args, file])
    if (status === 0) return stdout.trim()
    if (tries === 50) throw new Error(`losetup ${file}: ${stderr}`)
    run('sleep', ['0.1'])
  }
}

export function detachLoopDevice(path: string): void {
  const { status, stderr } = run('losetup', ['--detach', path])
  if (status !== 0) throw new Error(`losetup --detach ${path}: ${stderr}`)
}

/** A file of `length` bytes of nothing. */
export function makeSparseFile(path: string, length: number): void {
  const fd = openSync(path, 'w')
  ftruncateSync(fd, length)
  closeSync(fd)
}
