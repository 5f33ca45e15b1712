/** What most requests start from: the cluster file, the lock, the key, the overlays, the cache. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findImage, readLock } from '../catalog/lock.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { kindsNamed, newestLite, newestNamed } from '../catalog/short-names.ts'
import { type ReadOptions, readCluster } from '../cluster/cluster-file.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { type Overlay, readOverlays } from '../customise/overlay.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { type Cache, openCache } from '../fetch/cache.ts'
import { chooseStateFolder } from '../fetch/cache-folder.ts'
import type { GivenFiles } from '../node/state.ts'
import { packageRoot } from '../package-root.ts'
import { CLUSTER_KEY_FILE, readClusterKey } from '../secrets/cluster-key.ts'
import { isInGit } from '../secrets/git-index.ts'
import { type NodeKeys, nodeKeys } from '../secrets/node-keys.ts'
import { type Caller, note, taskOf } from './caller.ts'
import { type ClusterRequest, cacheFolder, clusterFolder, clusterPath } from './request.ts'

export const LOCK_FILE = 'images.lock.json'

export interface Project {
  cluster: Cluster
  overlays: Map<string, Overlay>
  /** Read when first needed. */
  keys(): Promise<NodeKeys>
  imageOf(node: Node): LockedImage
  /** Its cards are for everybody: nothing derived from a key is on them. */
  release?: true
  /** Files given in place of the image's own. */
  extras?: GivenFiles
}

export const shippedLock = (): string => join(packageRoot(), LOCK_FILE)

/**
 * The lock in force: the one that is named, else the one that ships with
 * piimage together with the one beside the cluster file, whose entries count
 * where both have one.
 */
export async function readLocks(request: ClusterRequest, caller: Pick<Caller, 'cwd'>): Promise<Lock> {
  const own = await readOwnLock(request, caller)
  if (request.lock !== undefined || own.file === shippedLock()) return own
  const shipped = await readLock(shippedLock())
  return { ...own, images: new Map([...shipped.images, ...own.images]) }
}

/** The lock that is named, else the one beside the cluster file, else the one that ships with piimage. */
export function readOwnLock(request: ClusterRequest, caller: Pick<Caller, 'cwd'>): Promise<Lock> {
  if (request.lock !== undefined) return readLock(resolve(caller.cwd, request.lock))
  const beside = join(clusterFolder(request, caller), LOCK_FILE)
  return readLock(existsSync(beside) ? beside : shippedLock())
}

export const cacheOf = (request: ClusterRequest, caller: Caller): Promise<Cache> =>
  openCache(cacheFolder(request, caller), {
    onWait: (message) => note(caller, message),
    onTrouble: (message) => note(caller, message),
    stateFolder: chooseStateFolder(caller.env, caller.platform),
  })

/** What a cluster file is judged by besides itself. */
export function clusterOptions(lock: Lock, overlays: Project['overlays'], { cwd, env }: Caller) {
  return {
    features,
    imageKeys: [...lock.images.keys()],
    imageOf: (image: string) => lock.images.get(image),
    images: {
      newestNamed: (name: string) => newestNamed(lock.images, name),
      kindsNamed: (name: string) => kindsNamed(lock.images, name),
      newestFor: (arch: 'armhf' | 'arm64') => newestLite(lock.images, arch),
    },
    overlayNames: [...overlays.keys()],
    home: env.HOME,
    cwd,
  } satisfies ReadOptions
}

/** The overlays that ship with piimage, and before them those of a cluster's folder. */
export const findOverlays = (...folders: readonly string[]): Promise<Map<string, Overlay>> =>
  readOverlays([...folders, packageRoot()].map((folder) => join(folder, 'overlays')))

async function fetchKeys(
  accounts: readonly string[],
  folder: string,
  request: ClusterRequest,
  caller: Caller,
): Promise<void> {
  const { openPublisherHttp } = await import('../fetch/publisher-http.ts')
  const { openHttp } = await import('../fetch/http.ts')
  const { pinKeys } = await import('./pinned-keys.ts')
  const options = { http: openHttp({ env: caller.env }), offline: false }
  const http = openPublisherHttp(await cacheOf(request, caller), options, taskOf(caller))
  await pinKeys(accounts, folder, http, caller)
}

/** @throws {MistakesError} everything wrong with the cluster file, at once */
export async function openProject(
  request: ClusterRequest,
  caller: Caller,
  options: Pick<ReadOptions, 'readLocal'> = {},
): Promise<Project> {
  const folder = clusterFolder(request, caller)
  const lock = await readLocks(request, caller)
  const overlays = await findOverlays(folder)
  const cluster = await readCluster(clusterPath(request), {
    ...options,
    ...clusterOptions(lock, overlays, caller),
    pinKeys: request.offline ? undefined : (accounts, at) => fetchKeys(accounts, at, request, caller),
  })
  let keys: Promise<NodeKeys> | undefined
  return {
    cluster,
    overlays,
    keys: () => {
      keys ??= readClusterKey(join(folder, CLUSTER_KEY_FILE)).then(nodeKeys)
      return keys
    },
    imageOf: (node) => findImage(lock, node.image),
  }
}

/** Every secret of the cluster follows from the key: whoever gets a clone has all of them. */
export function warnOfKeyInGit({ folder }: Cluster, { onEvent }: Caller): void {
  const path = join(folder, CLUSTER_KEY_FILE)
  if (!isInGit(path)) return
  const message = `${path} is in git: whoever gets a copy of the repository has every node. git rm --cached ${CLUSTER_KEY_FILE}; where it was pushed already, make another (piimage init in a new folder) and flash all cards again`
  onEvent({ event: 'warning', message })
}

/** Every node has this system, whatever the cluster file and the images say. */
export const withOs = <P extends Pick<Project, 'cluster'>>(project: P, os: string | undefined): P =>
  os === undefined
    ? project
    : {
        ...project,
        cluster: { ...project.cluster, nodes: project.cluster.nodes.map((node) => ({ ...node, os })) },
      }

/** @throws {UsageError} a name that is no node of the cluster */
export function findNode(cluster: Cluster, name: string): Node {
  const node = cluster.nodes.find((candidate) => candidate.name === name)
  if (node !== undefined) return node
  throw new UsageError(`no node "${name}" in ${cluster.file}`, {
    hint: `Its nodes are: ${cluster.nodes.map((candidate) => candidate.name).join(', ')}`,
  })
}

/** @throws {UsageError} nodes that need no card, and nobody says that they get one all the same */
export async function confirmCards(nodes: readonly Node[], { confirm }: Caller): Promise<void> {
  const diskless = nodes.filter(({ boot }) => boot === 'net').map(({ name }) => name)
  if (diskless.length === 0 || (await confirm({ about: 'diskless', nodes: diskless }))) return
  throw new UsageError(`${diskless.join(', ')}: boot: net, so there is no card to make`, {
    hint: 'piimage netroot lays out what it boots from; --yes makes a card all the same.',
  })
}

/** The nodes of these names; without names all of the cluster. */
export const chooseNodes = (cluster: Cluster, names: readonly string[] | undefined): readonly Node[] =>
  names?.map((name) => findNode(cluster, name)) ?? cluster.nodes
