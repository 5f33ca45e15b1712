/**
 * Where a baked image's bytes go: a sparse file, or a compressor in front of
 * one. The same bytes always give the same file: the xz program is given its
 * thread mode and block size explicitly, because both are written into the
 * stream.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import * as zlib from 'node:zlib'
import { UsageError } from '../errors.ts'
import { giveToPerson } from '../io/ownership.ts'
import { KiB, MiB } from '../units.ts'

export type BakeFormat = 'img' | 'xz' | 'zst'

export const bakeFormats: readonly BakeFormat[] = ['img', 'xz', 'zst']

export interface Sink {
  /** Bytes in order, without gaps. */
  write(bytes: Uint8Array): Promise<void>
  /** Flush to the medium and close. */
  finish(): Promise<void>
  /** Stop and close; the file is left torn. */
  abort(): Promise<void>
}

/** The block size pi-gen's images have, and what decoders in parallel like. */
const XZ_BLOCK_BYTES = 24 * MiB
/** Zero runs of this size become holes. */
const HOLE_BYTES = 64 * KiB
const zeroes = Buffer.alloc(HOLE_BYTES)

/**
 * @param path made new; must not exist
 * @param mode permission bits of the file
 * @param level compression level, undefined for the format's own default
 * @throws {UsageError} the format's compressor is not on this machine
 */
export async function openSink(
  path: string,
  format: BakeFormat,
  mode: number,
  level?: number,
): Promise<Sink> {
  const handle = await open(path, 'wx', mode)
  try {
    await giveToPerson(handle, dirname(path))
    if (format === 'img') return sparseSink(handle)
    if (format === 'zst' && hasZstd()) return streamSink(zstdStream(level), handle)
    return programSink(handle, format, level)
  } catch (error) {
    await handle.close()
    throw error
  }
}

function sparseSink(handle: FileHandle): Sink {
  let length = 0
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length; at += HOLE_BYTES) {
        const part = bytes.subarray(at, at + HOLE_BYTES)
        if (!zeroes.subarray(0, part.length).equals(part)) await writeFully(handle, part, length + at)
      }
      length += bytes.length
    },
    async finish() {
      await handle.truncate(length)
      await handle.sync()
      await handle.close()
    },
    abort: () => handle.close(),
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
  }
}

/** node:zlib has zstd from Node 22.15; older ones use the zstd program. */
const hasZstd = (): boolean => 'createZstdCompress' in zlib

interface ZstdModule {
  createZstdCompress(options: { params: Record<number, number> }): Writable & NodeJS.ReadableStream
  constants: { ZSTD_c_compressionLevel: number; ZSTD_c_checksumFlag: number }
}

function zstdStream(level = 10): Writable & NodeJS.ReadableStream {
  const zstd = zlib as unknown as ZstdModule
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zstd.constants
  return zstd.createZstdCompress({ params: { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 } })
}

/** Bytes through a transform into the file. */
function streamSink(transform: Writable & NodeJS.ReadableStream, handle: FileHandle): Sink {
  const output = handle.createWriteStream({ flush: true })
  transform.pipe(output)
  transform.on('error', (error) => output.destroy(error))
  const done = finished(output)
  done.catch(() => {})
  return {
    async write(bytes) {
      if (!transform.write(bytes)) await Promise.race([once(transform, 'drain'), done])
    },
    async finish() {
      transform.end()
      await done
    },
    async abort() {
      transform.destroy()
      output.destroy()
      await done.catch(() => {})
    },
  }
}

/** Bytes through a program that writes straight into the file. */
async function programSink(handle: FileHandle, format: 'xz' | 'zst', level?: number): Promise<Sink> {
  const program = format === 'xz' ? 'xz' : 'zstd'
  const threads = Math.max(2, availableParallelism())
  const args =
    format === 'xz'
      ? ['-c', `-${level ?? 6}`, `--threads=${threads}`, `--block-size=${XZ_BLOCK_BYTES}`, '--check=crc64']
      : ['-c', '-q', `-${level ?? 10}`, '--check', `--threads=${threads}`]
  const child = spawn(program, args, { stdio: ['pipe', handle.fd, 'pipe'] })
  await spawned(child, program)
  const said: Buffer[] = []
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk))
  const ended = new Promise<void>((resolve, reject) => {
    child.on('close', (status) => {
      if (status === 0) resolve()
      else
        reject(new Error(`${program} ended with status ${status}: ${Buffer.concat(said).toString().trim()}`))
    })
  })
  ended.catch(() => {})
  const input = child.stdin as Writable
  // A compressor that dies is reported by its status, not by the broken pipe.
  input.on('error', () => {})
  return {
    async write(bytes) {
      if (!input.write(bytes)) await Promise.race([once(input, 'drain'), ended])
    },
    async finish() {
      input.end()
      await ended
      await handle.sync()
      await handle.close()
    },
    async abort() {
      child.kill('SIGKILL')
      await ended.catch(() => {})
      await handle.close()
    },
  }
}

async function spawned(child: ChildProcess, program: string): Promise<void> {
  try {
    await once(child, 'spawn')
  } catch (cause) {
    throw new UsageError(`the ${program} program is needed to compress and is not on this machine`, {
      hint: `Install it (apt install ${program === 'xz' ? 'xz-utils' : program}), or bake with --format img`,
      cause,
    })
  }
}
