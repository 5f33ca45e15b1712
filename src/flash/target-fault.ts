/** Requests to a target that fail: where, and what that means for the person with the card in hand. */
import type { Range } from '../disk/blocks.ts'
import { refusalOf } from '../errno.ts'
import type { Target } from './target.ts'

/** A request the target did not carry out. Internal to this room: write.ts turns it into a DriveError. */
export class TargetFault extends Error {
  readonly action: 'read' | 'write' | 'flush'
  readonly range: Range | undefined
  /** errno name, for example EIO. */
  readonly code: string

  constructor(action: TargetFault['action'], range: Range | undefined, cause: NodeJS.ErrnoException) {
    super(cause.message, { cause })
    this.action = action
    this.range = range
    this.code = cause.code ?? 'unknown'
  }
}

export const writeTarget = (target: Target, bytes: Buffer, offset: number): Promise<void> =>
  guarded('write', { offset, length: bytes.length }, target.write(bytes, offset))

export const readTarget = (target: Target, into: Buffer, offset: number): Promise<void> =>
  guarded('read', { offset, length: into.length }, target.read(into, offset))

export const flushTarget = (target: Target): Promise<void> => guarded('flush', undefined, target.flush())

export const commitTarget = (target: Target): Promise<void> => guarded('flush', undefined, target.commit())

async function guarded(action: TargetFault['action'], range: Range | undefined, request: Promise<void>) {
  try {
    await request
  } catch (error) {
    // Anything without the name of an errno (EIO; not ERR_OUT_OF_RANGE) is a bug and stays what it is.
    if (!/^E[A-Z0-9]+$/.test(String((error as NodeJS.ErrnoException).code))) throw error
    throw new TargetFault(action, range, error as NodeJS.ErrnoException)
  }
}

/** What happened, as a sentence without its end, and what to do. */
export function describeFault(fault: TargetFault, target: Target, gone: boolean): [string, string] {
  const { action, range, code } = fault
  const refusal = refusalOf(code)
  if (target.kind === 'file' && (refusal === 'full' || refusal === 'too-large'))
    return [
      `there is no room for ${target.path} (${code} at offset ${range?.offset ?? 0})`,
      'Free some space, or name a file on another file system.',
    ]
  if (action === 'write' && (refusal === 'denied' || refusal === 'read-only'))
    return [
      `${target.path} is write-protected (${code})`,
      'Slide the lock switch of the card or its adapter away from "lock" and put it in again.',
    ]
  const verb = action === 'flush' ? 'store what was written' : action
  const place = range === undefined ? '' : ` ${range.length} bytes at offset ${range.offset}`
  const what = `${target.path} failed to ${verb}${place} (${code})`
  return gone
    ? [`${what} and no longer answers`, 'Was the card pulled out? Put it in again and run the command again.']
    : [what, 'Use another card, or another reader; this one does not take what is written to it.']
}
