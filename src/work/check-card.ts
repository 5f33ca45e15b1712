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
import { differsInLayoutOnly, listHostFiles } from './same-boot-files.ts'

export interface CheckRequest extends ClusterRequest {
  /** As the person wrote it, for messages. */
  path: string
  node: string
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
  const { path, node: name, os } = request
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
    if (await differsInLayoutOnly(card, image.changes, differences))
      return { by: 'files', added: await listHostFiles((await openBootVolume(card)).volume) }
    throw new DriveError(
      `${path} differs from the plan for ${name} in ${differences.length} places, first in ${first.length} bytes at ${first.offset}`,
      { hint: 'A card that was booted always differs; a fresh one should not: flash it again' },
    )
  } finally {
    await bases.close()
  }
}
