/**
 * `etcher-flash.js FOLDER IMAGE DRIVE`: writes and verifies with the etcher-sdk
 * that is installed in FOLDER, in the way that ends with the right bytes: unpacked
 * into a file first, free blocks of ext file systems left out, past the page
 * cache, verified by a checksum. Unpacking while writing (decompressFirst:
 * false) is not measured: this image then fails its verification, packed in
 * one block as well as in many, with zeroes missing on the card.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'

interface Source {
  getInnerSource(): Promise<object>
}

interface EtcherSdk {
  sourceDestination: {
    File: new (options: { path: string }) => Source
    BlockDevice: new (options: {
      drive: object
      unmountOnSuccess: boolean
      write: boolean
      direct: boolean
    }) => object
  }
  multiWrite: {
    decompressThenFlash(options: object): Promise<{ failures: Map<object, Error> }>
  }
}

const [folder = '', path = '', device = ''] = process.argv.slice(2)
const { sourceDestination, multiWrite } = createRequire(join(folder, 'package.json'))(
  'etcher-sdk',
) as EtcherSdk

const size = Number(spawnSync('blockdev', ['--getsize64', device], { encoding: 'utf8' }).stdout)
// drivelist leaves loop devices out: this is how it would list one.
const drive = {
  device,
  raw: device,
  devicePath: null,
  description: device,
  size,
  blockSize: 512,
  logicalBlockSize: 512,
  mountpoints: [],
  isSystem: false,
  isReadOnly: false,
  isRemovable: true,
}
const { failures } = await multiWrite.decompressThenFlash({
  source: await new sourceDestination.File({ path }).getInnerSource(),
  destinations: [
    new sourceDestination.BlockDevice({ drive, unmountOnSuccess: false, write: true, direct: true }),
  ],
  onFail: () => {},
  onProgress: () => {},
  verify: true,
  trim: true,
  decompressFirst: true,
  enoughSpaceForDecompression: () => true,
})
for (const { message } of failures.values()) process.stderr.write(`etcher-sdk: ${message}\n`)
if (failures.size > 0) process.exitCode = 1
