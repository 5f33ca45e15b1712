/** Run a command on a simulated card and say what it cost. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ThrottledDrives } from './throttled-drives.ts'

export interface Cost {
  wallSeconds: number
  /** All processes of the command together. */
  cpuSeconds: number
  /** Sum of the processes' own peaks: at most a little too high, never too low. */
  peakRssBytes: number
  bytesWritten: number
  /** Load of the machine when it ended, over the last minute. */
  load: number
}

const SAMPLE_MS = 100

/**
 * @param script for `sh -c`
 * @param until its time ends when all of these were said on stdout, and it is then stopped; undefined: with its end
 * @throws {Error} the command failed; with its last words
 */
export async function measure(script: string, drive: ThrottledDrives, until?: string[]): Promise<Cost> {
  const cpuBefore = drive.cpuSeconds()
  const writtenBefore = drive.bytesWritten()
  const enter = drive.groups.map((file) => `echo $$ > ${file}`).join(' && ')
  const started = performance.now()
  const child = spawn('sh', ['-c', `${enter} && ${script}`], { stdio: ['ignore', 'pipe', 'pipe'] })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2000)
  })
  let said = ''
  let wallSeconds: number | undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (wallSeconds !== undefined || !until?.every((part) => said.includes(part))) return
    wallSeconds = (performance.now() - started) / 1000
    for (const pid of readPids(drive)) process.kill(Number(pid), 'SIGTERM')
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const peaks = new Map<string, number>()
  let running = true
  void ended.then(() => {
    running = false
  })
  while (running) {
    samplePeaks(drive, peaks)
    await Promise.race([ended, sleep(SAMPLE_MS)])
  }
  const status = await ended
  // One that was stopped has closed its streams, and may still wait for a slow card.
  while (readPids(drive).length > 0) await sleep(SAMPLE_MS)
  const isStopped = wallSeconds !== undefined
  wallSeconds ??= (performance.now() - started) / 1000
  if (!isStopped && (status !== 0 || until !== undefined))
    throw new Error(`status ${status}: ${script}\n${words}`)
  return {
    wallSeconds,
    cpuSeconds: drive.cpuSeconds() - cpuBefore,
    peakRssBytes: [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0),
    bytesWritten: drive.bytesWritten() - writtenBefore,
    load: loadavg()[0] ?? 0,
  }
}

const readPids = (drive: ThrottledDrives): string[] =>
  readFileSync(drive.groups[0] ?? '', 'utf8')
    .split('\n')
    .filter(Boolean)

function samplePeaks(drive: ThrottledDrives, peaks: Map<string, number>): void {
  for (const pid of readPids(drive)) {
    try {
      const kibibytes = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      if (kibibytes !== undefined) peaks.set(pid, Number(kibibytes) * 1024)
    } catch {
      // It ended in between.
    }
  }
}
