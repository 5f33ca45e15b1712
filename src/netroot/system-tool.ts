/** The system's own file tools, run to their end. */
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
