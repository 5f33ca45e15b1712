/** `rehearse` as a program, to be run in a server's network namespace: file with a ServedCluster → results. */
import { readFileSync } from 'node:fs'
import { rehearse } from '../../src/rehearsal/rehearse.ts'

const served = JSON.parse(readFileSync(process.argv[2] as string, 'utf8'))
const results = await rehearse(served, { offline: false, signal: new AbortController().signal })
process.stdout.write(JSON.stringify(results))
