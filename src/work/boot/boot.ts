/**
 * `boot`: cards started in QEMU before they are made, over throw-away copies,
 * and asked from outside whether each is the node that it should be.
 *
 *   node or image ─► walk ─► machine ─► login ─► copy ─► power ─► steps ─► answers
 *                     what would stop its board stops it here, without QEMU
 */
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { listMachines } from '../../emulator/qemu.ts'
import { InterruptedError, NetrootError, PartialError } from '../../errors.ts'
import { walkCard } from '../../rehearsal/card/check-card.ts'
import { faultsOf } from '../boot-check.ts'
import type { Caller } from '../caller.ts'
import type { BootVerdict } from '../events.ts'
import { BootedNode } from './booted-node.ts'
import type { BootRequest } from './request.ts'
import { makeRunFolder } from './run-folder.ts'
import { openSubjects, type Subject } from './subject.ts'
import { plugIn, type Wiring } from './wiring.ts'

const USUAL_MINUTES = 30

/**
 * Images and cards are only read; what guests write is gone afterwards.
 * @throws {UsageError} there is no QEMU, or none of its machines will do
 * @throws {NetrootError} none came up as it should
 * @throws {PartialError} some did
 */
export async function boot(request: BootRequest, caller: Caller): Promise<{ booted: BootVerdict[] }> {
  const subjects = await openSubjects(request, caller)
  const folder = await makeRunFolder(caller.env)
  const started: BootedNode[] = []
  const judged: Promise<BootVerdict>[] = []
  // When one can't be started at all, the others stop, too.
  const stop = new AbortController()
  const watched = { ...caller, signal: AbortSignal.any([caller.signal, stop.signal]) }
  let wiring: Wiring | undefined
  try {
    const verdicts: BootVerdict[] = []
    const sound: Subject[] = []
    for (const subject of subjects.list) {
      const bad = request.force === true ? undefined : await walk(subject)
      if (bad === undefined) sound.push(subject)
      else verdicts.push(bad)
    }
    if (sound.length > 0) {
      const machines = await listMachines(caller.signal)
      wiring = await plugIn(sound, { folder, open: request.net === true }, caller)
      for (const [index, subject] of sound.entries())
        started.push(new BootedNode(subject, { folder, index, machines, wiring, request }, watched))
      const deadlineMs = (request.timeout ?? USUAL_MINUTES) * 60_000
      judged.push(...started.map((node) => node.verdict(deadlineMs)))
      verdicts.push(...(await Promise.all(judged)))
    }
    for (const verdict of verdicts) caller.onEvent({ event: 'booted', ...verdict })
    if (request.keep === true && verdicts.some(({ boots }) => boots > 0)) await keep(started, caller)
    refuseSome(verdicts)
    return { booted: verdicts }
  } finally {
    stop.abort(new InterruptedError('stopped'))
    await Promise.allSettled(judged)
    await Promise.all(started.map((node) => node.kill()))
    await wiring?.close()
    await subjects.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** @returns undefined: its board would start it, as far as can be told at the desk */
async function walk({ name, image, model, serial }: Subject): Promise<BootVerdict | undefined> {
  const check = await walkCard({ image, model, serial })
  const [fault] = faultsOf(check)
  const problem = check.empty ? 'there is no system on it' : fault
  return problem === undefined
    ? undefined
    : { node: name, ok: false, seconds: 0, boots: 0, checks: [], problem }
}

/** Until somebody has seen enough. */
async function keep(started: readonly BootedNode[], { onEvent, signal }: Caller): Promise<void> {
  for (const { name, ssh } of started) if (ssh !== undefined) onEvent({ event: 'kept', node: name, ssh })
  while (!signal.aborted) await sleep(60_000, undefined, { signal }).catch(() => {})
}

function refuseSome(verdicts: readonly BootVerdict[]): void {
  const bad = verdicts.filter(({ ok }) => !ok)
  const [first] = bad
  if (first === undefined) return
  const names = bad.map(({ node }) => node).join(', ')
  if (verdicts.length === 1) throw new NetrootError(`${first.node} does not come up: ${first.problem}`)
  const message = `${bad.length} of ${verdicts.length} do not come up as they should: ${names}`
  throw bad.length === verdicts.length ? new NetrootError(message) : new PartialError(message)
}
