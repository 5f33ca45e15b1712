/**
 * The cluster file as it is now: read again when it, an overlay, the lock or
 * the key was saved. While it has mistakes, the last good one is still shown,
 * and nothing is written.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Mistake, MistakesError, PiimageError } from '../errors.ts'
import { CLUSTER_KEY_FILE } from '../secrets/cluster-key.ts'
import type { Caller } from '../work/caller.ts'
import { canInit } from '../work/init-form.ts'
import { LOCK_FILE, openProject, type Project } from '../work/project.ts'
import { type ClusterRequest, clusterFolder, clusterPath } from '../work/request.ts'

export class FollowedCluster {
  readonly #request: ClusterRequest
  readonly #caller: Caller
  #read = ''
  /** The last one without mistakes. */
  project: Project | undefined
  /** Why the file as it is now is none. */
  error: PiimageError | undefined
  /** There was no file yet, and its place is where `init` makes one. */
  canInit = false

  constructor(request: ClusterRequest, caller: Caller) {
    this.#request = request
    this.#caller = caller
  }

  get mistakes(): readonly Mistake[] {
    return this.error instanceof MistakesError ? this.error.mistakes : []
  }

  /** @returns whether it was read again */
  async look(): Promise<boolean> {
    const state = this.#stateOfFiles()
    if (state === this.#read) return false
    this.#read = state
    try {
      this.project = await openProject(this.#request, this.#caller)
      await this.project.keys()
      this.error = undefined
      this.canInit = false
    } catch (error) {
      if (!(error instanceof PiimageError)) throw error
      this.error = error
      // One that was there is being saved, or was moved: no time for questions.
      this.canInit = this.project === undefined && canInit(this.#request, this.#caller)
    }
    return true
  }

  /** What cards are made from now. @throws {UsageError} why there is nothing to make them from */
  async current(): Promise<Project> {
    await this.look()
    if (this.error !== undefined) throw this.error
    return this.project as Project
  }

  /** In words that change when any of the files does. */
  #stateOfFiles(): string {
    const { cwd } = this.#caller
    const folder = clusterFolder(this.#request, this.#caller)
    const overlays = join(folder, 'overlays')
    const files = [
      resolve(cwd, clusterPath(this.#request)),
      resolve(cwd, this.#request.lock ?? join(folder, LOCK_FILE)),
      join(folder, CLUSTER_KEY_FILE),
      ...(existsSync(overlays)
        ? readdirSync(overlays, { recursive: true, encoding: 'utf8' }).map((name) => join(overlays, name))
        : []),
    ]
    return files
      .map((file) => {
        const found = statSync(file, { throwIfNoEntry: false })
        return found === undefined
          ? `${file} -`
          : `${file} ${found.ino} ${found.size} ${found.mtimeMs} ${found.mode}`
      })
      .join('\n')
  }
}
