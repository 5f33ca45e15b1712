/** `piimage customise`: make a card or an image another node, without writing it anew. */
import { formatBytes } from '../units.ts'
import { customise } from '../work/customise.ts'
import type { CardEvent } from '../work/events.ts'
import { callerOf } from './caller.ts'
import { defineCommand } from './command.ts'
import { describeDrive } from './describe-drive.ts'
import { type DriveArgs, driveFlags } from './drive-flags.ts'
import { nodesRequest, type OneOffArgs, oneOffFlags } from './one-off-flags.ts'

interface CustomiseArgs extends OneOffArgs, DriveArgs {
  path: string
  node?: string
  'dry-run': boolean
}

export const customiseCommand = defineCommand<CustomiseArgs>({
  command: 'customise <path>',
  describe: 'Make a card or an image another node, without writing it anew',
  builder: (cli) =>
    driveFlags(oneOffFlags(cli))
      .positional('path', { type: 'string', demandOption: true, describe: 'Whole drive, or raw image file' })
      .option('node', { type: 'string', nargs: 1, describe: 'What it shall be' })
      .option('dry-run', { type: 'boolean', default: false, describe: 'Show the changes, write nothing' })
      .example('$0 customise /dev/sdX --node carter', 'Another identity for this card')
      .example('$0 customise sgc.img --node oneil', 'Your settings for a released image')
      .example('$0 customise /dev/sdX --hostname pi', 'Without a cluster file'),
  async run(args, context) {
    const { output } = context
    const { path, node, serial, unmount, 'dry-run': dryRun } = args
    const caller = callerOf(args, context, {
      planned: (event) => {
        if (dryRun) output.printText(event.diff)
        else if (event.sectors > 0) output.note(describeChange(path, event))
      },
      customised: ({ bytesWritten }) => {
        output.print(
          `${path} is ${args.node ?? args.hostname}: ${formatBytes(bytesWritten)} of its boot partition written, read back and equal`,
        )
        output.note('The root file system is as it was: what the card did before stays there.')
      },
    })
    const request = { ...(await nodesRequest(args, context.world)), path, node, serial, unmount, dryRun }
    const result = await customise(request, caller)
    if (!dryRun && !result.written) output.print(`${path} is ${result.node} already, nothing was written`)
    return result
  },
})

function describeChange(
  path: string,
  { found, was, cluster, node, files }: Extract<CardEvent, { event: 'planned' }>,
): string {
  const before = was === null ? 'not known to piimage' : `${was} of ${cluster}`
  const what = found === undefined ? '' : ` (${describeDrive(found)})`
  return `${path}${what}: ${before}, becomes ${node}; ${files} files of the boot partition change`
}
