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

/** A node without a cluster file. */
export interface OneOff {
  hostname: string
  /** Lock key, image file or URL; only `customise` does without. */
  image?: string
  /** Default: `pi4`. */
  model?: string
  /** Login name. */
  user?: string
  /** Public keys that may log in: files or lines. They turn ssh on. */
  sshKeys?: readonly string[]
  /** With the pass phrase itself, or a file that holds it. */
  wifi?: { ssid: string; country?: string; passphrase?: string; passphraseFile?: string }
  /** Of an image given by its address. */
  sha256?: string
  /** Take what the address serves now as right. */
  trustFirstUse?: boolean
}

/** How a person wrote the cluster file's path. */
export const clusterPath = ({ cluster = 'cluster.yaml' }: ClusterRequest): string => cluster

export const clusterFolder = (request: ClusterRequest, { cwd }: Pick<Caller, 'cwd'>): string =>
  dirname(resolve(cwd, clusterPath(request)))

export const cacheFolder = ({ cache }: ClusterRequest, { cwd, env, platform }: Caller): string =>
  resolve(cwd, cache ?? chooseCacheFolder(env, platform))
