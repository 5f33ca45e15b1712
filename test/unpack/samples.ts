/** Images and compressed files for the tests of this room, made by the real programs. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { InterruptedError } from '../../src/errors.ts'
import type { Progress, Task } from '../../src/progress.ts'

export const MiB = 1024 * 1024

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Bytes that don't compress, the same on every run. */
export function noise(length: number, seed = 1): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16))
  return cipher.update(Buffer.alloc(length))
}

/** A disk image: partition table, noise, text, and runs of zeroes long and short; an odd length on request. */
export function makeImage(extraBytes = 0): Buffer {
  const mbr = Buffer.alloc(512)
  mbr.set([0x00, 0, 0, 0, 0x0c, 0, 0, 0, 0x00, 0x20, 0, 0, 0, 0, 1, 0], 446)
  mbr.set([0x55, 0xaa], 510)
  return Buffer.concat([
    mbr,
    noise(1.5 * MiB),
    Buffer.alloc(2 * MiB),
    Buffer.alloc(2 * MiB, 'piimage '),
    Buffer.alloc(70_000),
    noise(MiB, 2),
    Buffer.alloc(MiB + extraBytes),
  ])
}

/** What a program makes of `input`; throws when it fails. */
export function filter(program: string, args: readonly string[], input: Uint8Array): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 1024 * MiB })
  if (error !== undefined) throw error
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`)
  return stdout
}

export function save(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes)
  return path
}

/** A task that remembers what it was told. */
export function openTask(): Task & { reports: Progress[]; stop(): void } {
  const reports: Progress[] = []
  const controller = new AbortController()
  return {
    reports,
    report: (progress) => void reports.push(progress),
    signal: controller.signal,
    stop: () => controller.abort(new InterruptedError('stopped')),
  }
}
