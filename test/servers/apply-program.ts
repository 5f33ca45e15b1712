/** Applies and removes for ever under the prefix it is given, and says a byte each time something was done: to be killed. */
import { writeSync } from 'node:fs'
import { applyServers } from '../../src/servers/apply.ts'
import { removeServers } from '../../src/servers/remove.ts'
import { renderServers } from '../../src/servers/render.ts'
import { STATE, servedCluster, servedNode } from './served-cluster.ts'

const prefix = process.argv[2] ?? ''
const { signal } = new AbortController()
const options = { prefix, stateFolder: STATE, start: false }
/** Nothing is checked, but every question is a moment at which to be killed. */
const run = async () => {
  writeSync(1, '.')
  return { status: 0, stdout: '', stderr: '' }
}
for (let round = 0; ; round += 1) {
  const nodes = [servedNode(1), servedNode(2 + (round % 2))]
  await applyServers(renderServers(servedCluster({ nodes })), { ...options, run }, { signal })
  if (round % 3 === 2) await removeServers({ prefix, stateFolder: STATE, run }, { signal })
  writeSync(1, '.')
}
