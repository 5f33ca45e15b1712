/**
 * A locked image → its raw bytes: fetched, unpacked into the cache, opened.
 * Several nodes of one image share one base.
 */
import { rm, stat } from 'node:fs/promises'
import type { LockedImage } from '../../catalog/locked-image.ts'
import { DigestError } from '../../digest.ts'
import type { BlockReader } from '../../disk/blocks.ts'
import { readUsedRanges, type UsedRanges } from '../../disk/used-ranges.ts'
import { FetchError } from '../../errors.ts'
import type { Cache } from '../../fetch/cache.ts'
import { type FetchOptions, fetchImage } from '../../fetch/fetch-image.ts'
import { openHttp } from '../../fetch/http.ts'
import { digestFile } from '../../io/digest-file.ts'
import { type FileReader, openFileReader } from '../../io/file-reader.ts'
import type { Task } from '../../progress.ts'
import { unpackFile } from '../../unpack/unpack.ts'
import type { Context, GlobalArgs } from '../command.ts'
import { cacheOf } from './project.ts'

export interface BaseImage {
  key: string
  path: string
  length: number
  sha256: string
  reader: BlockReader
  used: UsedRanges
  /**
   * Whether the bytes in the cache are still those that the lock names:
   * resolves when the whole file was read and hashed, and no one changed it
   * since. Nothing may become bootable before.
   * @throws {DigestError}
   */
  verified(task: Task): Promise<void>
  close(): Promise<void>
}

export interface BaseImages {
  /** The same BaseImage each time for the same key. */
  open(image: LockedImage): Promise<BaseImage>
  close(): Promise<void>
}

/** The cache and the network as this command line and this machine give them. */
export async function openBases(args: GlobalArgs, context: Context): Promise<BaseImages> {
  const { world, output } = context
  const cache = await cacheOf(args, context)
  const http = openHttp({ env: world.env })
  const task: Task = { report: output.progress, signal: world.signal }
  const opened = new Map<string, Promise<BaseImage>>()
  return {
    open(image) {
      const known = opened.get(image.key)
      if (known !== undefined) return known
      const base = openBaseImage(image, cache, { http, offline: args.offline }, task)
      opened.set(image.key, base)
      return base
    },
    async close() {
      for (const base of await Promise.allSettled(opened.values())) {
        if (base.status === 'fulfilled') await base.value.close()
      }
    },
  }
}

async function openBaseImage(
  image: LockedImage,
  cache: Cache,
  options: FetchOptions,
  task: Task,
): Promise<BaseImage> {
  if (image.format === 'tar.xz') {
    throw new FetchError(`${image.key} is an archive of files, not a disk image`, {
      hint: 'Use it with netroot; cards need an .img',
    })
  }
  const { path, size, sha256 } = await cache.withImage(
    image,
    async (target) => {
      const source = await fetchImage(image, cache, options, task)
      const { member, extracted: expected } = image
      return unpackFile(
        { source, target, expected, subject: image.key, ...(member === undefined ? {} : { member }) },
        task,
      )
    },
    task,
    // `verified` hashes all of it, while the card is being written.
    { recheck: false },
  )
  const reader: FileReader = await openFileReader(path)
  let check: Promise<void> | undefined
  return {
    key: image.key,
    path,
    length: size,
    sha256,
    reader,
    used: await readUsedRanges(reader),
    verified(checkTask) {
      check ??= checkDigest(path, image.key, sha256, checkTask)
      return check
    },
    close: () => reader.close(),
  }
}

async function checkDigest(path: string, key: string, expected: string, task: Task): Promise<void> {
  const before = await stat(path, { bigint: true })
  const actual = await digestFile(path, task.signal)
  const after = await stat(path, { bigint: true })
  if (actual !== expected || before.ctimeNs !== after.ctimeNs) {
    // The next run unpacks it afresh.
    await rm(path, { force: true })
    throw new DigestError(`the unpacked image of ${key} in the cache`, expected, actual, {
      saidBy: 'the lock or the first unpacking',
      hint: 'It was damaged in the cache and is removed; run again to unpack it afresh',
    })
  }
}
