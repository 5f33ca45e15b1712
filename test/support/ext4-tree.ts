/**
 * A tree with everything a root file system may hold, for comparing a reader
 * with the kernel: all file types, owners, times, links, holes, names, and
 * attributes at the sizes where ext4 changes the way it stores them.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { GiB } from '../../src/units.ts'
import { run } from './tools.ts'

export interface TreeOptions {
  blockBytes: number
  /** Values larger than a block, which only ea_inode can hold. */
  largeXattrs: boolean
  /** Names in the big directory. */
  names: number
}

/** Separate runs of data in `sparse`. */
export const SPARSE_RUNS = 2000

/** Fill `root`, which is a mounted ext file system; needs root. */
export async function fillTree(root: string, options: TreeOptions): Promise<void> {
  const at = (...parts: string[]) => join(root, ...parts)
  const tool = (command: string, ...args: string[]) => {
    const ran = run(command, args)
    assert.equal(ran.status, 0, `${command} ${args.join(' ').slice(0, 200)}: ${ran.stderr}`)
  }

  // Sizes around the 60 bytes of an inode, around one block, and beyond direct blocks.
  mkdirSync(at('sizes'))
  for (const size of [0, 1, 59, 60, 61, 100, 150, 200, 300, 1024, 4096, 4097, 60_000, 3_000_001])
    writeFileSync(at('sizes', `${size}`), pattern(size))
  mkdirSync(at('folders'))
  for (let count = 0; count < 20; count += 1) {
    mkdirSync(at('folders', `${count}`))
    for (let i = 0; i < count; i += 1) writeFileSync(at('folders', `${count}`, `name-${i}`), `${i}`)
  }
  mkdirSync(at('many'))
  for (let i = 0; i < options.names; i += 1)
    writeFileSync(at('many', `a rather long file name, number ${i}`), '')
  for (let i = 0; i < options.names; i += 7) rmSync(at('many', `a rather long file name, number ${i}`))

  const sparse = openSync(at('sparse'), 'w')
  for (let i = 0; i < SPARSE_RUNS; i += 1) writeSync(sparse, `run ${i}`, i * 3 * options.blockBytes)
  closeSync(sparse)
  const hole = openSync(at('hole'), 'w')
  writeSync(hole, 'start', 0)
  writeSync(hole, 'end', 5 * GiB)
  ftruncateSync(hole, 5 * GiB + 100_000)
  closeSync(hole)
  // Unwritten extents, in the middle and beyond the end; ext2 and ext3 have none.
  if (run('fallocate', ['-l', '200000', at('unwritten')]).status === 0) {
    const unwritten = openSync(at('unwritten'), 'r+')
    writeSync(unwritten, 'written', 100_000)
    closeSync(unwritten)
    tool('fallocate', '-n', '-o', '200000', '-l', '300000', at('unwritten'))
  }

  writeFileSync(at('first'), 'linked')
  linkSync(at('first'), at('second'))
  linkSync(at('first'), at('folders', 'third'))
  symlinkSync('first', at('link'))
  for (const length of [59, 60, 61, 200, 1000]) symlinkSync('x'.repeat(length), at(`link-${length}`))
  symlinkSync('/folders/3', at('absolute'))
  symlinkSync('circle', at('circle'))
  tool('mknod', at('tty'), 'c', '5', '1')
  tool('mknod', at('large-device'), 'b', '300', '70000')
  tool('mkfifo', at('fifo'))
  await makeSocket(at('s'), at('socket'))

  writeFileSync(at('setuid'), '#!/bin/sh\n')
  chownSync(at('setuid'), 70_000, 70_001)
  chmodSync(at('setuid'), 0o6755)
  lchownSync(at('link'), 70_002, 100_000)
  mkdirSync(at('sticky'))
  chmodSync(at('sticky'), 0o1777)
  for (const [name, date] of [
    ['year-1969', '1969-06-01 12:00:00.123456789'],
    ['year-1902', '1902-01-01 00:00:00.5'],
    ['year-2040', '2040-02-03 04:05:06.987654321'],
    ['year-2440', '2440-01-01 00:00:00.000000001'],
  ] as const)
    tool('touch', '-d', date, at(name))
  const raw = Buffer.concat([Buffer.from(at('raw-')), Buffer.from([0xff, 0xfe, 0x80, 0x0a])])
  writeFileSync(raw, 'bytes')
  writeFileSync(at('näme-☃'), 'utf8')
  writeFileSync(at('n'.repeat(255)), 'long')

  writeFileSync(at('ping'), 'elf')
  tool('setcap', 'cap_net_raw+ep', at('ping'))
  mkdirSync(at('acl'))
  tool('setfacl', '-m', 'u:70000:rwx,g:100000:r-x,d:u:33:rw-', at('acl'))
  writeFileSync(at('acl', 'inherits'), '')
  for (const [name, size] of [
    ['small', 20],
    ['middle', 100],
    ['block', 500],
    ['large', Math.floor(options.blockBytes / 2)],
  ] as const) {
    const file = at(`xattr-${name}`)
    writeFileSync(file, name)
    tool('setfattr', '-n', 'user.one', '-v', `0x${pattern(size).toString('hex')}`, file)
    tool('setfattr', '-n', 'trusted.two', '-v', 'second', file)
    tool('setfattr', '-n', 'user.empty', file)
    tool('setfattr', '-n', 'security.other', '-v', 'third', file)
  }
  tool('setfattr', '-n', 'user.on-folder', '-v', 'x', at('sticky'))
  if (options.largeXattrs) {
    writeFileSync(at('xattr-inode'), '')
    const hex = pattern(30_000).toString('hex')
    // Too long for an argument: setfattr reads it from a dump.
    const dump = `# file: ${at('xattr-inode')}\nuser.huge=0x${hex}\nuser.other=0x${hex.slice(0, 20_000)}\n`
    const restored = run('setfattr', ['--restore=-'], { input: dump })
    assert.equal(restored.status, 0, restored.stderr)
  }
}

/** Bytes in which a wrong offset shows. */
function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 7 + (i >>> 8) * 13 + 1) % 251
  return bytes
}

/** Node removes a socket's file when it closes, so the file is renamed before. */
async function makeSocket(path: string, final: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  renameSync(path, final)
  await new Promise((resolve) => server.close(resolve))
}
