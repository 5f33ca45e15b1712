/**
 * A node without a cluster file: what is said of it → a cluster of one, judged
 * by the same rules as a file, so that everything after it is the same work.
 */
import { randomBytes } from 'node:crypto'
import type { LockedImage } from '../catalog/locked-image.ts'
import { DEFAULT_MODEL, type Model } from '../cluster/boards.ts'
import { parseCluster, readLocalFile } from '../cluster/cluster-file.ts'
import type { Cluster } from '../cluster/node.ts'
import type { BootRequest } from '../customise/plan-boot.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { ClusterKey } from '../secrets/cluster-key.ts'
import { type NodeKeys, nodeKeys } from '../secrets/node-keys.ts'
import { type Caller, note } from './caller.ts'
import { type ExtraFiles, readExtraFiles } from './extra-files.ts'
import { findOverlays, openProject, type Project, readLocks, warnOfKeyInGit, withOs } from './project.ts'
import type { ClusterRequest, OneOff } from './request.ts'

/** Nodes of a cluster file, or one without. */
export interface NodesRequest extends ClusterRequest {
  oneOff?: OneOff
  /** The system of every image, where it is not recognised: `raspios-bookworm` … */
  os?: string
  /** In place of the image's own. */
  files?: ExtraFiles
  /** Also what would not boot. */
  force?: boolean
  /** Read a file that the cluster file names, where it need not be here. */
  readLocal?: typeof readLocalFile
}

/** What a plan must know of an image; a card that is there has no more. */
export type ImageFacts = BootRequest['image']

/** In place of the path of a pass phrase that was given itself. */
const GIVEN = 'the pass phrase that was given'

export async function openNodes(request: NodesRequest, caller: Caller): Promise<Project> {
  const extras = await readExtraFiles(request, caller)
  const project =
    request.oneOff === undefined
      ? await openProject(request, caller, { readLocal: request.readLocal })
      : await openOneOff(request, request.oneOff, caller)
  if (request.oneOff === undefined) warnOfKeyInGit(project.cluster, caller)
  return withOs({ ...project, extras }, request.os)
}

async function openOneOff(request: ClusterRequest, oneOff: OneOff, caller: Caller): Promise<Project> {
  const { findOneOffImage } = await import('./one-off-image.ts')
  const lock = await readLocks(request, caller)
  const image: LockedImage = await findOneOffImage(oneOff, lock, request, caller)
  return { ...(await oneNodeProject(oneOff, image, caller)), imageOf: () => image }
}

/** A project of one node over an image of which no more is known than this. */
export async function oneNodeProject(
  oneOff: OneOff,
  image: ImageFacts,
  caller: Caller,
): Promise<Omit<Project, 'imageOf'>> {
  const overlays = await findOverlays()
  let keys: NodeKeys | undefined
  return {
    cluster: await oneNodeCluster(oneOff, image, [...overlays.keys()], caller),
    overlays,
    async keys() {
      if (keys === undefined)
        note(
          caller,
          'No cluster.key is used: host key and ids are random, and the same command makes others next time.',
        )
      keys ??= nodeKeys(new ClusterKey(randomBytes(32)))
      return keys
    },
  }
}

/** @throws {UsageError} everything wrong with what was said, at once */
async function oneNodeCluster(
  { hostname, model = DEFAULT_MODEL, user, sshKeys, wifi }: OneOff,
  image: ImageFacts,
  overlayNames: string[],
  { cwd, env }: Caller,
): Promise<Cluster> {
  const file = {
    cluster: 'one-off',
    image: image.key,
    user: user === undefined ? undefined : { name: user, sshKeys: sshKeys ?? [] },
    wifi: wifi && {
      ssid: wifi.ssid,
      passphraseFile: wifi.passphraseFile ?? GIVEN,
      country: wifi.country,
    },
    overlays: sshKeys === undefined ? [] : ['ssh'],
    nodes: { [hostname]: { model: model as Model } },
  }
  // JSON is YAML: what was said is judged like a file.
  const { cluster, mistakes } = await parseCluster(JSON.stringify(file), 'the command line', {
    folder: cwd,
    home: env.HOME ?? '/',
    readLocal: (path) =>
      path.endsWith(GIVEN) ? { text: wifi?.passphrase ?? '', mode: 0o600 } : readLocalFile(path),
    features,
    imageKeys: [image.key],
    imageOf: () => image,
    overlayNames,
  })
  if (cluster !== undefined) return { ...cluster, warnings: [] }
  throw new UsageError(mistakes.map(({ message }) => message).join('; '), { hint: mistakes[0]?.hint })
}
