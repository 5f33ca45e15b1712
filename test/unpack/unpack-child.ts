/** Unpacks one file in a process of its own and prints the most memory that process had resident, in bytes. */
import { unpackFile } from '../../src/unpack/unpack.ts'
import { openTask } from './samples.ts'

const [, , source, target] = process.argv
if (source === undefined || target === undefined) throw new Error('usage: unpack-child SOURCE TARGET')
const { size } = await unpackFile({ source, target }, { ...openTask(), report: () => {} })
process.stdout.write(JSON.stringify({ size, residentBytes: process.resourceUsage().maxRSS * 1024 }))
