/** What long steps say while they run. Rooms emit these; only `report/` knows about terminals. */
export interface Progress {
  phase: 'download' | 'unpack' | 'check' | 'write' | 'verify' | 'compress'
  /** What it is about: an image key, a drive path, a file. */
  subject: string
  /** The node, where the step belongs to one. */
  node?: string
  bytes: number
  /** null while the size is not known. */
  totalBytes: number | null
}

export type ReportProgress = (progress: Progress) => void

/** What every long step takes: how to report, and how to be stopped. */
export interface Task {
  report: ReportProgress
  /** Aborted on SIGINT; the step cleans up and throws the signal's reason (an InterruptedError). */
  signal: AbortSignal
}
