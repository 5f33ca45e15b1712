/** `inspect --check`: a card against the plan of a node, every byte that flash writes. */

import type { Context, GlobalArgs } from '../commands/command.ts'
import type { BlockReader } from '../disk/blocks.ts'
import { DriveError } from '../errors.ts'
import { listDifferences } from '../flash/compare.ts'
import type { Task } from '../progress.ts'
import { openBases } from './base-image.ts'
import { buildNodeImage } from './node-image.ts'
import { findNode, openProject, withOs } from './project.ts'
import { differsInLayoutOnly } from './same-boot-files.ts'

export interface CheckedCard {
  /** As the person wrote its path. */
  name: string
  node: string
  /** What `--os` says. */
  os?: string
}

/** @throws {DriveError} it differs */
export async function checkCard(
  card: BlockReader,
  { name, node: nodeName, os }: CheckedCard,
  args: GlobalArgs,
  context: Context,
): Promise<void> {
  const { world, output } = context
  const project = withOs(await openProject(args, context), os)
  const node = findNode(project.cluster, nodeName)
  const task: Task = { report: output.progress, signal: world.signal }
  const bases = await openBases(args, context)
  try {
    const base = await bases.open(project.imageOf(node))
    const image = await buildNodeImage(project, node, base)
    const differences = await listDifferences(card, image.changes, image.ranges, name, task)
    for (const { offset, length } of differences) output.event('difference', { offset, length })
    const [first] = differences
    if (first !== undefined && (await differsInLayoutOnly(card, image.changes, differences))) {
      output.print(
        `equal to the plan for ${nodeName}: every file, though customise laid them out otherwise than flash`,
      )
      return
    }
    if (first !== undefined) {
      throw new DriveError(
        `${name} differs from the plan for ${nodeName} in ${differences.length} places, first in ${first.length} bytes at ${first.offset}`,
        { hint: 'A card that was booted always differs; a fresh one should not: flash it again' },
      )
    }
    output.print(`equal to the plan for ${nodeName}, every byte that flash writes`)
  } finally {
    await bases.close()
  }
}
