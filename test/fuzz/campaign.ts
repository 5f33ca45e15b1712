/**
 * The loop: take an input that once reached something new, change it, run it;
 * keep what reaches something new again. Runs in a thread of its own
 * (thread.ts), so that one that never ends can be ended.
 */
import { PiimageError } from '../../src/errors.ts'
import { KiB, MiB } from '../../src/units.ts'
import { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import { Random } from './random.ts'
import type { FuzzTarget } from './target.ts'

export interface CampaignRequest {
  executions: number
  seed: number
}

export interface CampaignResult {
  executions: number
  /** Inputs that reached something new, seeds included. */
  corpus: number
  /** Branches and functions of the product that ran. */
  covered: number
  /** Inputs that were read without an error. */
  accepted: number
  findings: Finding[]
}

export interface Finding {
  input: Uint8Array
  what: string
}

/** More of the same tell nothing. */
const MOST_FINDINGS = 20
/** One input of some kilobytes may cost this much memory at once. */
const MOST_MEMORY = 256 * MiB

/** @param onInput called before each execution, for the one who watches */
export async function runCampaign(
  target: FuzzTarget,
  request: CampaignRequest,
  onInput: (input: Uint8Array) => void,
): Promise<CampaignResult> {
  const random = new Random(request.seed)
  const coverage = new Coverage()
  const corpus: Uint8Array[] = []
  const found = new Map<string, Finding>()
  let accepted = 0
  const execute = async (input: Uint8Array): Promise<void> => {
    onInput(input)
    const problem = await tryInput(target, input)
    if (problem === undefined) accepted += 1
    else if (problem !== '') found.set(signature(problem), { input: Uint8Array.from(input), what: problem })
    if (coverage.hasNew()) corpus.push(Uint8Array.from(input))
  }
  for (const seed of await target.seeds()) {
    await execute(seed)
    if (!corpus.includes(seed)) corpus.push(seed)
  }
  let executions = corpus.length
  for (; executions < request.executions && found.size < MOST_FINDINGS; executions += 1) {
    // The newest reached furthest; the oldest are the well-formed ones.
    const recent = random.once(2) ? corpus.length : Math.min(corpus.length, 16)
    const from = corpus[corpus.length - 1 - random.below(recent)] as Uint8Array
    await execute(
      mutate(random.once(4) ? (corpus[0] as Uint8Array) : from, random.pick(corpus), target, random),
    )
  }
  return {
    executions,
    corpus: corpus.length,
    covered: coverage.seen,
    accepted,
    findings: [...found.values()],
  }
}

/** @returns undefined: accepted; '': refused as it should be; else what went wrong */
export async function tryInput(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  const before = mostResident()
  try {
    await target.run(input)
    return tooMuchMemory(before)
  } catch (error) {
    if (error instanceof PiimageError) return tooMuchMemory(before) ?? messageProblem(error)
    return error instanceof Error ? (error.stack ?? error.message) : `threw ${String(error)}`
  }
}

/** Bytes. The whole process': what other threads took before an input is not the input's. */
const mostResident = (): number => process.resourceUsage().maxRSS * KiB

/** More than any input before it. */
function tooMuchMemory(before: number): string | undefined {
  const grown = mostResident() - before
  return grown > MOST_MEMORY ? `memory grew by ${Math.round(grown / MiB)} MiB` : undefined
}

/** Words that a person can't act on. */
function messageProblem(error: PiimageError): string {
  const text = `${error.message} ${error.hint ?? ''}`
  return /\bundefined\b|\bNaN\b|\[object /.test(text) ? `says: ${text}` : ''
}

/** The same fault is found again and again: what it says and where it was thrown, without values. */
const signature = (problem: string): string =>
  problem
    .split('\n')
    .slice(0, 2)
    .join('|')
    .replaceAll(/\d+/g, '0')
    .replaceAll(/"[^"]*"/g, '""')
    .slice(0, 200)
