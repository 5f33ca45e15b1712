/**
 * The last question before a card is made: would its board start it? Told as
 * warnings, each with its file and the next thing to do, and then refused.
 */
import type { BlockReader } from '../disk/blocks.ts'
import { NetrootError } from '../errors.ts'
import { type CardCheck, checkCard, type SharedFiles } from '../rehearsal/card/check-card.ts'
import { quoteLine } from '../terminal-text.ts'
import type { Caller } from './caller.ts'
import type { NodeChanges } from './node-image.ts'

/** Kernels, RAM disks and roots are the image's: looked at once for all its nodes. */
const shared = new WeakMap<BlockReader, SharedFiles>()

/** @throws {NetrootError} it would not boot as it should, and nobody said that it may be made all the same */
export async function refuseUnbootable(
  { node, base, changes }: NodeChanges,
  { force = false }: { force?: boolean },
  caller: Caller,
): Promise<void> {
  // It has no card; its server's files are looked at by netroot verify.
  if (node.boot === 'net') return
  const files = shared.get(base.reader) ?? new Map()
  shared.set(base.reader, files)
  const { model, serial } = node
  const check = await checkCard({ image: changes, model, serial, shared: files })
  for (const message of faultsOf(check)) caller.onEvent({ event: 'warning', node: node.name, message })
  if (!force) refuseFaults(check, node.name, '--force makes it all the same.')
}

export const faultsOf = ({ faults }: Pick<CardCheck, 'faults'>): string[] =>
  faults.map(({ place, problem, mend }) => `${place}: ${problem}. ${mend}`)

/** @param way on besides what each fault asks for */
export function refuseFaults({ faults }: Pick<CardCheck, 'faults'>, name: string, way: string): void {
  const [first, ...more] = faults
  if (first === undefined) return
  const others = more.length === 0 ? '' : `, and ${more.length} more`
  throw new NetrootError(`${name} would not boot as it should: ${first.place}: ${first.problem}${others}`, {
    hint: `${first.mend} ${way}`.trimEnd(),
  })
}

/** In lines: the verdict, then each fault with what to do, and what is worth knowing. */
export function describeCheck({ model, faults, notes, empty }: CardCheck): string[] {
  const verdict = empty
    ? 'nothing to start'
    : faults.length === 0
      ? 'nothing is missing'
      : `${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`
  return [
    `boot on a ${model}: ${verdict}`,
    ...faults.flatMap(({ place, problem, mend }) => [
      quoteLine(`  ${place}: ${problem}`),
      quoteLine(`    ${mend}`),
    ]),
    ...notes.map(({ place, text }) => quoteLine(`  note: ${place}: ${text}`)),
  ]
}
