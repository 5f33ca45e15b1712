/**
 * The writing engine alone: a raw image and its block map onto a drive.
 *
 *     node build/bench/engine.js IMAGE BMAP DRIVE [--no-verify]
 *
 * ERASES the drive. Prints the engine's report as JSON.
 */
import { readFileSync } from 'node:fs'
import { guardDrive } from '../src/drives/guard.ts'
import { openDriveTarget } from '../src/flash/target.ts'
import { writeCard } from '../src/flash/write.ts'
import { openFileReader } from '../src/io/file-reader.ts'
import { parseBlockMap } from './block-map.ts'

const [imagePath = '', mapPath = '', drivePath = '', option] = process.argv.slice(2)
const image = await openFileReader(imagePath)
const drive = await guardDrive(drivePath, image.length, { cachePath: '/nonexistent' })
const target = await openDriveTarget(drive)
try {
  const report = await writeCard(
    {
      target,
      image,
      ranges: parseBlockMap(readFileSync(mapPath, 'utf8'), image.length),
      verified: async () => {},
      verify: option !== '--no-verify',
    },
    { report: () => {}, signal: new AbortController().signal },
  )
  process.stdout.write(`${JSON.stringify(report)}\n`)
} finally {
  await target.close()
  await image.close()
}
