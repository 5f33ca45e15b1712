/** The system's own file tools, run to their end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { NetrootError } from '../errors.ts'
import { complaintOf, NO_PROGRAM, runProgram } from '../io/run-program.ts'

/**
 * @returns what it printed
 * @throws {NetrootError} it is not there, or failed, in its own words
 * @throws the signal's reason
 */
export async function runTool(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  const ran = await runProgram(program, args, { signal })
  if (ran.status === 0) return ran.stdout
  if (ran.status === NO_PROGRAM)
    throw new NetrootError(`the program ${program} is not installed`, {
      hint: 'Install it, then run this again.',
    })
  throw new NetrootError(`${program} ${args.join(' ')} failed: ${complaintOf(ran)}`)
}

const BUSY_TRIES = 60
const BUSY_MS = 250

/**
 * mount(8) or umount(8). Whoever makes a mount namespace at the wrong moment
 * holds what is unmounted here for a while longer; until then it is busy.
 */
export async function runMountTool(program: 'mount' | 'umount', args: readonly string[]): Promise<void> {
  for (let tries = 1; ; tries += 1)
    try {
      await runTool(program, args)
      return
    } catch (error) {
      if (tries === BUSY_TRIES || !/\bbusy\b/.test((error as Error).message)) throw error
      await sleep(BUSY_MS)
    }
}
