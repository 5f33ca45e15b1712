/**
 * `piimage netroot adopt SERIAL NODE`: write a board's serial number and MAC
 * address into the cluster file. The board is looked up among those that the
 * server heard; its words are trusted for the addresses, not for the choice.
 */
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { boards } from '../../cluster/boards.ts'
import type { Context, GlobalArgs } from '../../commands/command.ts'
import { MistakesError, UsageError } from '../../errors.ts'
import { writeFileAtomically } from '../../io/atomic-file.ts'
import { adoptInto } from '../../rehearsal/adopt.ts'
import { listenForBoards } from '../../rehearsal/live/listen.ts'
import { readBoots } from '../../rehearsal/live/look.ts'
import { describeBoard, type UnknownBoard, unknownBoards } from '../../rehearsal/live/node-state.ts'
import { findNode, openProject } from '../project.ts'
import type { NetrootAction, NetrootArgs } from './args.ts'

/** A board without an address asks again after this long at most. */
const LISTEN_MS = 8000

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

export const adoptAction: NetrootAction = async (args, context) => {
  const { output, world } = context
  const [board = '', name, mac] = args.more.map((word) => word.toLowerCase())
  if (name === undefined || !(MAC.test(board) || /^[0-9a-f]{8}([0-9a-f]{8})?$/.test(board)))
    throw new UsageError('adopt which board as which node?', {
      hint: 'piimage netroot adopt SERIAL NODE [MAC]; piimage netroot status lists boards that asked for an address.',
    })
  const { cluster } = await openProject(args, context)
  const node = findNode(cluster, name)
  const found =
    mac !== undefined && MAC.test(mac)
      ? { mac, serial: board.slice(-8) }
      : await findBoard(board, args, context)
  const { serial } = found
  if (serial === undefined)
    throw new UsageError(`${describeBoard(found)}: it has not said its serial number`, {
      hint: `It is printed by the board’s own diagnostics screen, and in /proc/cpuinfo. Then: piimage netroot adopt SERIAL ${name} ${found.mac}`,
    })
  if ('model' in found && found.model !== undefined && found.model !== node.model)
    output.warn(
      `the board is a ${boards[found.model].title}, and ${name} is a ${boards[node.model].title} in the cluster file`,
    )
  const file = resolve(world.cwd, args.cluster)
  const text = await adoptInto(await readFile(file, 'utf8'), args.cluster, name, { mac: found.mac, serial })
  await checkText(text, file, args, context)
  await writeFileAtomically(file, text, (await stat(file)).mode % 0o1000)
  output.event('adopted', { node: name, mac: found.mac, serial })
  output.print(`${name} is the board with serial ${serial}, ${found.mac}; piimage netroot --apply serves it`)
  return { node: name, mac: found.mac, serial }
}

/** The whole file must still be right: no other node may have these addresses. @throws {MistakesError} it isn't */
async function checkText(text: string, file: string, args: GlobalArgs, context: Context): Promise<void> {
  const trial = join(dirname(file), `.piimage-adopt-${process.pid}.yaml`)
  try {
    await writeFile(trial, text, { mode: 0o600 })
    await openProject({ ...args, cluster: trial }, context)
  } catch (error) {
    if (!(error instanceof MistakesError)) throw error
    throw new MistakesError(error.mistakes.map((mistake) => ({ ...mistake, file: args.cluster })))
  } finally {
    await rm(trial, { force: true })
  }
}

/** By serial number or MAC address, among those heard already, then among those that ask now. */
async function findBoard(
  wanted: string,
  args: GlobalArgs & NetrootArgs,
  context: Context,
): Promise<UnknownBoard> {
  const { world, output } = context
  const listener = await listenForBoards()
  const isWanted = ({ mac, serial }: UnknownBoard) => mac === wanted || serial === wanted.slice(-8)
  try {
    for (let waited = 0; ; waited += 500) {
      const found = unknownBoards([], await readBoots([], args.log, listener.heard)).find(isWanted)
      if (found !== undefined) return found
      if (waited === 0) output.note('waiting for the board to ask for an address')
      if (waited >= LISTEN_MS) break
      await sleep(500, undefined, { signal: world.signal }).catch(() => world.signal.throwIfAborted())
    }
  } finally {
    listener.close()
  }
  const derived = MAC.test(wanted) ? '' : ', or say its MAC address too'
  throw new UsageError(`no board ${wanted} was heard`, {
    hint: `Switch it on while this runs on the server${derived}: piimage netroot adopt SERIAL NODE MAC.`,
  })
}
