/** The outside: what a test replaces, and the only way a command speaks to a person. */
export interface World {
  stdout: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  stderr: { write(text: string): unknown; isTTY?: boolean; columns?: number }
  env: Record<string, string | undefined>
  cwd: string
  platform: NodeJS.Platform
  now: () => Date
  /** Ask a yes/no question on the terminal; false when nobody is there to answer. */
  confirm: (question: string) => Promise<boolean>
  /** Ask for a line of text; undefined when nobody is there to answer. */
  ask: (question: string) => Promise<string | undefined>
  /** Aborted when the process is asked to stop. */
  signal: AbortSignal
}
