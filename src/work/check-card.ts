/** `inspect` with `check`: a card against the plan of a node, every byte that flash writes. */
import type { BlockReader } from '../disk/blocks.ts'
import { openBootVolume } from '../disk/boot-volume.ts'
import { DriveError } from '../errors.ts'
import { listDifferences } from '../flash/compare.ts'
import { type Caller, taskOf } from './caller.ts'
import { openBases } from './image-pipeline.ts'
import { buildNodeImage } from './node-image.ts'
import { findNode, openProject, withOs } from './project.ts'
import type { ClusterRequest } from './request.ts'
import { listDifferingFiles, listHostFiles } from './same-boot-files.ts'

export interface CheckRequest extends ClusterRequest {
  /** As the person wrote it, for messages. */
  path: string
  node: string
  /** The node that the card says it is. */
  was?: string
  /** The system, where it is not recognised. */
  os?: string
}

export interface CheckedCard {
  /** `files`: the boot partition holds the same files, laid out otherwise, as `customise` leaves them. */
  by: 'bytes' | 'files'
  /** What computers that mounted the card have left on it since, by path: harmless. */
  added: string[]
}

/**
 * @throws {DriveError} it differs
 */
export async function checkCard(
  card: BlockReader,
  request: CheckRequest,
  caller: Caller,
): Promise<CheckedCard> {
  const { path, node: name, was = name, os } = request
  const project = withOs(await openProject(request, caller), os)
  const node = findNode(project.cluster, name)
  const bases = await openBases(request, caller)
  try {
    const base = await bases.open(project.imageOf(node))
    const image = await buildNodeImage(project, node, base)
    const differences = await listDifferences(card, image.changes, image.ranges, path, taskOf(caller))
    for (const { offset, length } of differences) caller.onEvent({ event: 'difference', offset, length })
    const [first] = differences
    if (first === undefined) return { by: 'bytes', added: [] }
    const files = await listDifferingFiles(card, image.changes, differences)
    if (files?.length === 0)
      return { by: 'files', added: await listHostFiles((await openBootVolume(card)).volume) }
    const places = differences.length === 1 ? 'one place' : `${differences.length} places`
    const isOther = was !== name
    throw new DriveError(
      `${path} ${isOther ? `is the card of ${was}, and ` : ''}differs from the plan for ${name} in ${places}, first in ${first.length} bytes at ${first.offset}`,
      {
        hint: isOther
          ? `Compare it with the plan for its own node: leave --node out, or say --node ${was}.`
          : files === undefined
            ? 'A card that was booted always differs; a fresh one should not: flash it again'
            : [
                `Of its boot partition differ: ${nameSome(files)}`,
                `If the cluster file was edited since, this is enough: piimage customise --node ${name} ${path}`,
              ],
      },
    )
  } finally {
    await bases.close()
  }
}

const MOST_NAMED = 8

const nameSome = (files: readonly string[]): string =>
  files.length <= MOST_NAMED
    ? files.join(', ')
    : `${files.slice(0, MOST_NAMED).join(', ')} and ${files.length - MOST_NAMED} more`
