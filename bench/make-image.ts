/**
 * An image to measure with, shaped like Raspberry Pi OS Lite: 2.5 GB with a
 * 512 MiB FAT partition and an ext4 partition, of which about 700 MB are in
 * use; half of the data compresses well, half not at all. Made once, with mtools and
 * e2fsprogs, without root; its block map by bmaptool, its packed form by xz in
 * many blocks, as publishers pack.
 */
import { spawnSync } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/package-root.ts'
import { alignUp, KiB, MiB, SECTOR_BYTES } from '../src/units.ts'

export interface BenchImage {
  raw: string
  packed: string
  blockMap: string
}

const BOOT_OFFSET = 4 * MiB

/** Bytes of the partitions, and of what lies in them. */
export interface ImageSizes {
  boot: number
  root: number
  bootData: number
  rootData: number
}

const LITE: ImageSizes = { boot: 512 * MiB, root: 1868 * MiB, bootData: 64 * MiB, rootData: 600 * MiB }

/** Where the partitions lie. */
export const partsOf = ({ boot, root }: ImageSizes) => ({
  boot: { offset: BOOT_OFFSET, length: boot },
  root: { offset: BOOT_OFFSET + boot, length: root },
})

/** Where the demo image's boot partition starts. */
const DEMO_BOOT_OFFSET = 8192 * SECTOR_BYTES

/** @param folder kept between runs: what is there is used again */
export function makeBenchImage(folder: string, sizes: ImageSizes = LITE): BenchImage {
  const image: BenchImage = {
    raw: join(folder, 'bench.img'),
    packed: join(folder, 'bench.img.xz'),
    blockMap: join(folder, 'bench.bmap'),
  }
  if (!existsSync(image.packed)) makeImage(folder, image, sizes)
  return image
}

function makeImage(folder: string, image: BenchImage, sizes: ImageSizes): void {
  const parts = partsOf(sizes)
  mkdirSync(folder, { recursive: true })
  rmSync(image.raw, { force: true })
  const boot = join(folder, 'boot')
  const root = join(folder, 'root')
  makeFiles(boot, 60, sizes.bootData, 'boot')
  takeDemoFiles(folder, boot)
  makeFiles(root, 600, sizes.rootData, 'root')
  closeSync(openSync(image.raw, 'w'))
  truncateSync(image.raw, parts.root.offset + parts.root.length)
  writePartitionTable(image.raw, parts)
  const volume = `${image.raw}@@${BOOT_OFFSET}`
  tool('mformat', ['-i', volume, '-F', '-T', String(sizes.boot / SECTOR_BYTES), '-N', '50696D67', '::'])
  tool('mcopy', ['-i', volume, '-s', '-Q', ...readdirSync(boot).map((name) => join(boot, name)), '::/'])
  tool('mke2fs', [
    ...['-q', '-F', '-t', 'ext4', '-d', root, '-E', `offset=${parts.root.offset}`],
    ...[image.raw, `${sizes.root / KiB}k`],
  ])
  rmSync(boot, { recursive: true })
  rmSync(root, { recursive: true })
  tool('bmaptool', ['create', '-o', image.blockMap, image.raw])
  tool('xz', ['-T0', '-1', '--block-size=3MiB', '--keep', '--force', '--suffix=.part', image.raw])
  renameSync(`${image.raw}.part`, image.packed)
}

/** What piimage tells the system by, from the boot partition of the demo image. */
function takeDemoFiles(folder: string, boot: string): void {
  const demo = join(folder, 'demo.img')
  tool('sh', ['-c', 'xz -dc "$1" > "$2"', 'sh', join(packageRoot(), 'examples/demo/demo.img.xz'), demo])
  tool('mcopy', ['-i', `${demo}@@${DEMO_BOOT_OFFSET}`, '-s', '-n', '::/*', boot])
  rmSync(demo)
}

/** Files that are, in turn, random and repetitive. */
function makeFiles(folder: string, count: number, bytes: number, seed: string): void {
  mkdirSync(folder, { recursive: true })
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16))
  const size = alignUp(Math.floor(bytes / count), KiB)
  for (let number = 0; number < count; number += 1) {
    const random = cipher.update(Buffer.alloc(size))
    const fd = openSync(join(folder, `file${number}`), 'w')
    writeSync(fd, number % 2 === 0 ? random : Buffer.alloc(size, random.subarray(0, 2 * KiB)))
    closeSync(fd)
  }
}

/** Two entries: FAT32 (LBA) and Linux. */
function writePartitionTable(path: string, { boot, root }: ReturnType<typeof partsOf>): void {
  const table = Buffer.alloc(SECTOR_BYTES)
  const entry = (index: number, type: number, offset: number, length: number) => {
    const at = 446 + 16 * index
    table[at + 4] = type
    table.writeUInt32LE(offset / SECTOR_BYTES, at + 8)
    table.writeUInt32LE(length / SECTOR_BYTES, at + 12)
  }
  entry(0, 0x0c, boot.offset, boot.length)
  entry(1, 0x83, root.offset, root.length)
  table.writeUInt16LE(0xaa55, 510)
  const fd = openSync(path, 'r+')
  writeSync(fd, table, 0, SECTOR_BYTES, 0)
  closeSync(fd)
}

function tool(name: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(name, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name}: ${error?.message ?? stderr}`)
}

export const imageBytes = (image: BenchImage): number => statSync(image.raw).size
