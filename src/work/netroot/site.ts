/** Where a netboot server keeps what it serves, and what every request about it starts from. */
import { existsSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UsageError } from '../../errors.ts'
import { strangersIn } from '../../io/ownership.ts'
import { onTrees } from '../../netroot/disk-error.ts'
import type { ServerRoot } from '../../netroot/server-root.ts'
import { lockState, readServed } from '../../netroot/state.ts'
import { type Caller, note } from '../caller.ts'
import { openProject, type Project } from '../project.ts'
import type { ClusterRequest } from '../request.ts'

export interface NetrootRequest extends ClusterRequest {
  /** A folder that stands for `/`. Default: this machine. */
  prefix?: string
  /** State folder, as the server knows it. Default: `/srv/piimage/<cluster>`. */
  state?: string
}

export interface Site {
  place: ServerRoot
  /** The server's own path. */
  state: string
}

/** @param work done with the site; what a file system refuses is said in terms of trees */
export async function atSite<T>(
  request: NetrootRequest,
  caller: Caller,
  work: (site: Site, project: Project) => Promise<T>,
): Promise<T> {
  const project = await openProject(request, caller)
  const path = request.prefix === undefined ? '' : resolve(caller.cwd, request.prefix)
  const site = {
    place: { prefix: path === '/' ? '' : path },
    state: request.state ?? `/srv/piimage/${project.cluster.name}`,
  }
  return onTrees(() => work(site, project))
}

/** Run while nobody else changes the state folder. @throws {NetrootError} there is none */
export async function whileLocked<T>(site: Site, caller: Caller, work: () => Promise<T>): Promise<T> {
  readServed(site.state, site.place)
  return whileStateLocked(site, caller, work)
}

/**
 * The same where the state folder may not be there yet.
 * @throws {UsageError} others could put something into it
 */
export async function whileStateLocked<T>(
  { state, place }: Site,
  caller: Caller,
  work: () => Promise<T>,
): Promise<T> {
  if (place.prefix === '') await refuseStrangers(state)
  const lock = await lockState(state, place, caller.signal, (pid) =>
    note(caller, `waiting for process ${pid}, which changes ${state}`),
  )
  try {
    return await work()
  } finally {
    lock.release()
  }
}

/** What lies there becomes the root of every node: nobody else may write it, or put another folder in its place. */
async function refuseStrangers(state: string): Promise<void> {
  let there = state
  while (!existsSync(there)) there = dirname(there)
  const strangers = await strangersIn(realpathSync(there))
  if (strangers === undefined) return
  throw new UsageError(`the state folder ${state} is not safe to use: ${strangers}`, {
    hint: 'Take that right away (chmod go-w, chown root), or name another folder with --state.',
  })
}
