/** `piimage inspect`: what is on a card or in an image, in words. */
import { formatTable } from '../report/table.ts'
import { quoteLine } from '../terminal-text.ts'
import { formatBytes } from '../units.ts'
import { describePacked } from '../unpack/packed-file.ts'
import { describeCheck } from '../work/boot-check.ts'
import type { CardContent } from '../work/events.ts'
import { type Inspected, inspect } from '../work/inspect.ts'
import { callerOf, common, OS_FLAG } from './caller.ts'
import { defineCommand } from './command.ts'

interface InspectArgs {
  path: string
  check: boolean
  node?: string
  os?: string
}

export const inspectCommand = defineCommand<InspectArgs>({
  command: 'inspect <path>',
  describe: 'Say what is on a card or in an image; --check compares with the plan',
  builder: (cli) =>
    cli
      .positional('path', { type: 'string', demandOption: true, describe: 'Drive or raw image file' })
      .option('check', { type: 'boolean', default: false, describe: 'Compare every byte that flash writes' })
      .option('node', {
        type: 'string',
        nargs: 1,
        describe: 'Compare with this node (default: what the receipt says)',
      })
      .option('os', { type: 'string', nargs: 1, describe: OS_FLAG })
      .example('$0 inspect /dev/sdX --check', 'Is this card as flash left it?'),
  async run(args, context) {
    const { output } = context
    const { path, check, node, os } = args
    const caller = callerOf(args, context, {
      inspected: (event) =>
        'packed' in event
          ? output.print(describePacked(path, event.packed))
          : output.printText(describeFound(path, event)),
    })
    const result = await inspect({ ...common(args), path, check, node, os }, caller)
    if ('packed' in result || result.equal === undefined) return result
    const { equal, ...found } = result
    output.print(`equal to the plan for ${equal.node}${describeEqual(equal)}`)
    return { ...found, node: equal.node, equal: true }
  },
})

function describeEqual({ by, added }: NonNullable<Exclude<Inspected, { packed: unknown }>['equal']>): string {
  if (by === 'bytes') return ', every byte that flash writes'
  if (added.length === 0) return ': every file, though customise laid them out otherwise than flash'
  return `: every file; a computer that mounted the card has added ${added.join(', ')}, which is harmless`
}

function describeFound(name: string, found: CardContent): string {
  const rows = found.partitions.map((p) => [
    `${p.index}`,
    formatBytes(p.offset),
    formatBytes(p.length),
    p.volume,
  ])
  const lines = [
    quoteLine(`${name}: ${formatBytes(found.length)}`),
    formatTable(['PARTITION', 'AT', 'SIZE', 'VOLUME'], rows),
  ]
  const system =
    found.os === undefined
      ? (found.unknown ?? 'no boot partition that can be read')
      : `${found.os.family} ${found.os.release} (${found.os.evidence.join('; ')})`
  lines.push(quoteLine(`system: ${system}`))
  for (const { index, doubts } of found.partitions)
    for (const doubt of doubts) lines.push(quoteLine(`partition ${index}: ${doubt}`))
  const { receipt } = found
  lines.push(
    receipt === undefined
      ? 'node: none, no receipt'
      : quoteLine(
          `node: ${receipt.node} of cluster ${receipt.cluster}, ${receipt.image === undefined ? 'on a card that piimage did not write' : `image ${receipt.image.key}`}, written by piimage ${receipt.piimage}`,
        ),
  )
  lines.push(...(found.boot === undefined ? [] : describeCheck(found.boot)))
  return lines.join('\n')
}
