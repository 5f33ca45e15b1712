/** What every action of `piimage netroot` starts from. */
import { resolve } from 'node:path'
import type { Cluster, Model } from '../../cluster/node.ts'
import type { Context, GlobalArgs } from '../../commands/command.ts'
import type { Place } from '../../netroot/place.ts'
import type { RootMode } from '../../netroot/served.ts'
import { lockState, readServed } from '../../netroot/state.ts'
import type { World } from '../../world.ts'
import { openProject, type Project } from '../project.ts'

export interface NetrootArgs {
  action: string
  more: string[]
  node?: string[]
  'dry-run': boolean
  apply: boolean
  install: boolean
  prefix?: string
  state?: string
  'root-mode'?: RootMode | 'auto'
  tar?: string
  keep: number
  watch: boolean
  as?: Model
  log?: string
}

export type NetrootAction = (args: GlobalArgs & NetrootArgs, context: Context) => Promise<object | undefined>

/** Where the action works. */
export interface Stage {
  place: Place
  /** The server's own path. */
  state: string
}

/** `--prefix`, absolute and without a slash at its end; '' without. */
export const placeOf = ({ prefix }: NetrootArgs, { cwd }: World): Place => {
  const path = prefix === undefined ? '' : resolve(cwd, prefix)
  return { prefix: path === '/' ? '' : path }
}

export const stateFolderOf = ({ state }: NetrootArgs, { name }: Cluster): string =>
  state ?? `/srv/piimage/${name}`

/** The stage of an action that needs no image: what is laid out says the rest. */
export async function openStage(
  args: GlobalArgs & NetrootArgs,
  context: Context,
): Promise<{ project: Project; stage: Stage }> {
  const project = await openProject(args, context)
  return {
    project,
    stage: { place: placeOf(args, context.world), state: stateFolderOf(args, project.cluster) },
  }
}

/** Run while nobody else changes the state folder. @throws {NetrootError} there is none */
export async function whileLocked<T>(
  { state, place }: Stage,
  { world, output }: Context,
  work: () => Promise<T>,
): Promise<T> {
  readServed(state, place)
  const lock = await lockState(state, place, world.signal, (pid) =>
    output.note(`waiting for process ${pid}, which changes ${state}`),
  )
  try {
    return await work()
  } finally {
    lock.release()
  }
}
