/** Runs campaigns and watches them from outside: an input that takes for ever, or all memory, is a finding too. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { MiB } from '../../src/units.ts'
import type { CampaignRequest, CampaignResult } from './campaign.ts'

export interface ThreadData {
  /** Names, one campaign after the other: loading the product takes longer than a short campaign. */
  targets: readonly string[]
  request: CampaignRequest
  /** int32: executions so far; length of the last input. */
  pulse: SharedArrayBuffer
  lastInput: SharedArrayBuffer
}

export interface Report {
  name: string
  result: CampaignResult
}

/** Far above what any input takes, also on a machine that does ten other things. */
const PATIENCE_MS = 60_000
const MOST_HEAP_MB = 512

/** @param onReport called after each campaign; a campaign that must be ended is the last one */
export async function watchCampaigns(
  targets: readonly string[],
  request: CampaignRequest,
  onReport: (report: Report) => void,
): Promise<void> {
  const pulse = new SharedArrayBuffer(8)
  const lastInput = new SharedArrayBuffer(1 * MiB)
  const data: ThreadData = { targets, request, pulse, lastInput }
  // A thread that is ended clears up nothing itself.
  const folder = mkdtempSync(join(tmpdir(), 'piimage-fuzz-'))
  const thread = new Worker(new URL('./thread.js', import.meta.url), {
    workerData: data,
    execArgv: ['--import', new URL('./count-coverage.js', import.meta.url).href],
    env: { ...process.env, TMPDIR: folder },
    resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB },
  })
  const beats = new Int32Array(pulse)
  let done = 0
  const reportEnd = (what: string): void => {
    const input = new Uint8Array(lastInput).slice(0, beats[1])
    const result = {
      executions: beats[0] ?? 0,
      corpus: 0,
      covered: 0,
      accepted: 0,
      findings: [{ input, what }],
    }
    onReport({ name: targets[done] as string, result })
  }
  let seen = -1
  let timer: NodeJS.Timeout | undefined
  await new Promise<void>((resolve, reject) => {
    timer = setInterval(() => {
      const now = Atomics.load(beats, 0)
      if (now === seen && now > 0) {
        reportEnd(`no end within ${PATIENCE_MS / 1000} s`)
        resolve()
      }
      seen = now
    }, PATIENCE_MS)
    thread.on('message', (report: Report) => {
      onReport(report)
      done += 1
      if (done === targets.length) resolve()
    })
    thread.on('error', (error: NodeJS.ErrnoException) => {
      // Before the first input it is the fuzzer itself that fails.
      if (Atomics.load(beats, 0) === 0) return reject(error)
      reportEnd(`the thread died: ${error.code ?? ''} ${error.message}`)
      resolve()
    })
  }).finally(async () => {
    clearInterval(timer)
    await thread.terminate()
    rmSync(folder, { recursive: true, force: true })
  })
}
