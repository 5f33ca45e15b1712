/** A Task whose progress is kept, with a place to step in at each report. */
import type { Progress, Task } from '../../src/progress.ts'

export interface RecordedTask extends Task {
  readonly progress: Progress[]
}

export function recordTask(
  onReport: (progress: Progress) => void = () => {},
  signal: AbortSignal = new AbortController().signal,
): RecordedTask {
  const progress: Progress[] = []
  return {
    progress,
    signal,
    report(step) {
      progress.push(step)
      onReport(step)
    },
  }
}
