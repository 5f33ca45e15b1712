/** A process to be killed: writes IMAGE to DRIVE and says a line for every step of progress. */
import { statSync, writeSync } from 'node:fs'
import { openDriveTarget } from '../../src/flash/target.ts'
import { writeCard } from '../../src/flash/write.ts'
import { openFileReader } from '../../src/io/file-reader.ts'

const [imagePath = '', drivePath = ''] = process.argv.slice(2)
const image = await openFileReader(imagePath)
const target = await openDriveTarget({ path: drivePath, size: statSync(imagePath).size })
await writeCard(
  {
    target,
    image,
    ranges: [{ offset: 0, length: image.length }],
    verified: async () => {},
    verify: true,
  },
  { report: ({ phase }) => writeSync(1, `${phase}\n`), signal: new AbortController().signal },
)
await target.close()
await image.close()
