/** Campaigns in a thread of their own: the last input and the pulse lie in memory that the watcher sees. */
import { parentPort, workerData } from 'node:worker_threads'
import { runCampaign } from './campaign.ts'
import { findTarget } from './targets.ts'
import type { Report, ThreadData } from './watch.ts'

const { targets, request, pulse, lastInput } = workerData as ThreadData
const beats = new Int32Array(pulse)
const last = new Uint8Array(lastInput)

for (const name of targets) {
  const result = await runCampaign(findTarget(name), request, (input) => {
    last.set(input.subarray(0, last.length))
    beats[1] = Math.min(input.length, last.length)
    Atomics.add(beats, 0, 1)
  })
  parentPort?.postMessage({ name, result } satisfies Report)
}
