/** What most commands start from: the cluster file, the lock, the key, the overlays, the cache. */
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { findImage, readLock } from '../catalog/lock.ts'
import type { Lock, LockedImage } from '../catalog/locked-image.ts'
import { type ReadOptions, readCluster } from '../cluster/cluster-file.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import type { Context, GlobalArgs } from '../commands/command.ts'
import { type Overlay, readOverlays } from '../customise/overlay.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { type Cache, openCache } from '../fetch/cache.ts'
import { chooseCacheFolder, chooseStateFolder } from '../fetch/cache-folder.ts'
import type { GivenFiles } from '../node/state.ts'
import { packageRoot } from '../package-root.ts'
import { readClusterKey } from '../secrets/cluster-key.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import { nodeKeys } from '../secrets/node-keys.ts'
import type { World } from '../world.ts'

export const CLUSTER_KEY_FILE = 'cluster.key'

export interface Project {
  cluster: Cluster
  lock: Lock
  overlays: Map<string, Overlay>
  /** Read when first needed: `drives` and `images` work without one. */
  keys(): Promise<NodeKeys>
  imageOf(node: Node): LockedImage
  /** Its cards are for everybody: nothing derived from a key is on them. */
  release?: true
  /** Files given on the command line. */
  extras?: GivenFiles
}

/** The lock in force: `--lock`, else the one beside the cluster file, else the one shipped. */
export function lockPath(args: GlobalArgs, world: { cwd: string }): string {
  if (args.lock !== undefined) return resolve(world.cwd, args.lock)
  const beside = join(dirname(resolve(world.cwd, args.cluster)), 'images.lock.json')
  return existsSync(beside) ? beside : join(packageRoot(), 'images.lock.json')
}

export const cacheFolder = (args: GlobalArgs, world: World): string =>
  resolve(world.cwd, args.cache ?? chooseCacheFolder(world.env, world.platform))

export const cacheOf = (args: GlobalArgs, { world, output }: Context): Promise<Cache> =>
  openCache(cacheFolder(args, world), {
    onWait: output.note,
    onTrouble: output.note,
    stateFolder: chooseStateFolder(world.env, world.platform),
  })

/** @throws {MistakesError} everything wrong with the cluster file, at once */
export async function openProject(
  args: GlobalArgs,
  { world }: Context,
  options: Pick<ReadOptions, 'readLocal'> = {},
): Promise<Project> {
  const file = resolve(world.cwd, args.cluster)
  const folder = dirname(file)
  const lock = await readLock(lockPath(args, world))
  const overlays = await readOverlays([join(folder, 'overlays'), join(packageRoot(), 'overlays')])
  const cluster = await readCluster(args.cluster, {
    ...options,
    features,
    imageKeys: [...lock.images.keys()],
    archOf: (image) => lock.images.get(image)?.arch,
    overlayNames: [...overlays.keys()],
    home: world.env.HOME,
  })
  let keys: Promise<NodeKeys> | undefined
  return {
    cluster,
    lock,
    overlays,
    keys: () => {
      keys ??= readClusterKey(join(folder, CLUSTER_KEY_FILE)).then(nodeKeys)
      return keys
    },
    imageOf: (node) => findImage(lock, node.image),
  }
}

/** What `--os` says: the system of every node, whatever the cluster file and the images say. */
export const withOs = (project: Project, os: string | undefined): Project =>
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
