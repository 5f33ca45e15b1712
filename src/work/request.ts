/** What every request may say, and where that leads. */
import { dirname, resolve } from 'node:path'
import { chooseCacheFolder } from '../fetch/cache-folder.ts'
import type { Caller } from './caller.ts'

/** Where a request finds its cluster, its lock and its cache. */
export interface ClusterRequest {
  /** Cluster file. Default: `cluster.yaml`. */
  cluster?: string
  /** Lock file. Default: `images.lock.json` beside the cluster file, which adds to the one that ships with piimage. */
  lock?: string
  /** Cache folder. Default: PIIMAGE_CACHE, else where this system keeps caches. */
  cache?: string
  /** Never use the network. */
  offline?: boolean
}

/** How a person wrote the cluster file's path. */
export const clusterPath = ({ cluster = 'cluster.yaml' }: ClusterRequest): string => cluster

export const clusterFolder = (request: ClusterRequest, { cwd }: Pick<Caller, 'cwd'>): string =>
  dirname(resolve(cwd, clusterPath(request)))

export const cacheFolder = ({ cache }: ClusterRequest, { cwd, env, platform }: Caller): string =>
  resolve(cwd, cache ?? chooseCacheFolder(env, platform))
