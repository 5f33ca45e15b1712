/**
 * Progress events → text. On a terminal one line per running task, redrawn in
 * place, each with bytes, rate and time left; elsewhere a plain line after a
 * second, every ten seconds, and at the end.
 */
import type { Progress } from '../progress.ts'
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'

export interface ProgressView {
  show(progress: Progress): void
  /** Take the redrawn lines off the screen, so that other text can be written; they come back with the next event. */
  clear(): void
}

interface RunningTask {
  progress: Progress
  startedAt: number
  startBytes: number
  shownAt: number
}

interface Screen {
  write(text: string): unknown
  columns?: number
}

const words: Record<Progress['phase'], string> = {
  download: 'downloading',
  unpack: 'unpacking',
  check: 'checking',
  write: 'writing',
  verify: 'verifying',
  compress: 'compressing',
}

const nameOf = (progress: Progress): string =>
  quoteLine(progress.node === undefined ? progress.subject : `${progress.node} ${progress.subject}`)

const keyOf = (progress: Progress): string => `${progress.phase} ${nameOf(progress)}`

const isDone = (progress: Progress): boolean =>
  progress.totalBytes !== null && progress.bytes >= progress.totalBytes

/** `75` → `1:15`, `3675` → `1:01:15` */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds)
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  if (parts[0] === 0) parts.shift()
  return parts.map((part, index) => (index === 0 ? `${part}` : `${part}`.padStart(2, '0'))).join(':')
}

/** Bytes per second since the task began; 0 in its first moments. */
function rateOf(task: RunningTask, now: number): number {
  const seconds = (now - task.startedAt) / 1000
  return seconds < 0.5 ? 0 : (task.progress.bytes - task.startBytes) / seconds
}

function describe(task: RunningTask, now: number): string {
  const { bytes, totalBytes } = task.progress
  const rate = rateOf(task, now)
  const parts = [
    totalBytes === null ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
  ]
  if (rate > 0) parts.push(`${formatBytes(rate)}/s`)
  if (rate > 0 && totalBytes !== null) {
    const left = (totalBytes - bytes) / rate
    parts.push(
      left > 0 ? `${formatDuration(left)} left` : `in ${formatDuration((now - task.startedAt) / 1000)}`,
    )
  }
  return parts.join(', ')
}

const bar = (fraction: number, width: number): string => {
  const full = Math.round(fraction * width)
  return `${'━'.repeat(full)}${'╌'.repeat(width - full)}`
}

/** The shared part: which steps run, since when. */
class Steps {
  readonly running = new Map<string, RunningTask>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  take(progress: Progress): { task: RunningTask; isNew: boolean; now: number } {
    const now = this.#now()
    const key = keyOf(progress)
    const known = this.running.get(key)
    if (known !== undefined) {
      known.progress = progress
      return { task: known, isNew: false, now }
    }
    const task = { progress, startedAt: now, startBytes: progress.bytes, shownAt: -Infinity }
    this.running.set(key, task)
    return { task, isNew: true, now }
  }

  end(progress: Progress): void {
    this.running.delete(keyOf(progress))
  }
}

const REDRAW_MS = 100
/** A task that is done sooner is worth one line, not two. */
const FIRST_LINE_MS = 1000
const PLAIN_LINE_MS = 10_000

export function terminalProgress(screen: Screen, now: () => number): ProgressView {
  const steps = new Steps(now)
  let drawnLines = 0
  let drawnAt = -Infinity

  const clear = () => {
    if (drawnLines > 0) screen.write(`\x1b[${drawnLines}A\x1b[0J`)
    drawnLines = 0
  }
  const line = (task: RunningTask, at: number): string => {
    const { progress } = task
    const label = `${words[progress.phase]} ${nameOf(progress)}`
    const width = Math.max(20, (screen.columns ?? 80) - 1)
    const text = describe(task, at)
    const room = width - label.length - text.length - 4
    const drawn =
      progress.totalBytes !== null && progress.totalBytes > 0 && room >= 8
        ? `${label}  ${bar(Math.min(1, progress.bytes / progress.totalBytes), Math.min(30, room))}  ${text}`
        : `${label}  ${text}`
    return drawn.slice(0, width)
  }
  const draw = (at: number) => {
    clear()
    for (const task of steps.running.values()) {
      screen.write(`${line(task, at)}\n`)
      drawnLines += 1
    }
    drawnAt = at
  }
  return {
    clear,
    show(progress) {
      const { task, now: at } = steps.take(progress)
      if (isDone(progress)) {
        clear()
        screen.write(`${line(task, at)}\n`)
        steps.end(progress)
        draw(at)
      } else if (at - drawnAt >= REDRAW_MS) {
        draw(at)
      }
    },
  }
}

export function plainProgress(screen: Screen, now: () => number): ProgressView {
  const steps = new Steps(now)
  return {
    clear() {},
    show(progress) {
      const { task, now: at } = steps.take(progress)
      const done = isDone(progress)
      const due = task.shownAt === -Infinity ? task.startedAt + FIRST_LINE_MS : task.shownAt + PLAIN_LINE_MS
      if (!done && at < due) return
      screen.write(`${words[progress.phase]} ${nameOf(progress)}: ${describe(task, at)}\n`)
      task.shownAt = at
      if (done) steps.end(progress)
    },
  }
}
