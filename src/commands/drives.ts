/** `piimage drives`: what is plugged in, and what piimage would say to each. */

import { formatTable } from '../report/table.ts'
import { drives } from '../work/drives.ts'
import { callerOf } from './caller.ts'
import { defineCommand } from './command.ts'
import { describeDrive } from './describe-drive.ts'
import { type DriveArgs, driveFlags } from './drive-flags.ts'

interface DrivesArgs extends DriveArgs {
  all: boolean
}

export const drivesCommand = defineCommand<DrivesArgs>({
  command: 'drives',
  describe: 'List the drives, and which of them piimage would write to',
  builder: (cli) =>
    driveFlags(cli).option('all', {
      type: 'boolean',
      default: false,
      describe: 'Also drives that would be refused',
    }),
  async run(args, context) {
    const { output } = context
    const { cache, serial, unmount } = args
    const judged = await drives({ cache, serial, unmount }, callerOf(args, context))
    const shown = args.all || output.json ? judged : judged.filter(({ refusal }) => refusal === undefined)
    for (const { drive, refusal } of shown)
      output.event('drive', { ...drive, refused: refusal?.message ?? null })
    const rows = shown.map(({ drive, refusal }) => [drive.path, describeDrive(drive), refusal?.message ?? ''])
    if (rows.length > 0)
      output.printText(formatTable(args.all ? ['DRIVE', '', 'REFUSED'] : ['DRIVE', '', ''], rows))
    const hidden = judged.length - shown.length
    if (rows.length === 0) output.print('No drive that piimage would write to.')
    if (hidden > 0)
      output.note(`${hidden} not shown because they would be refused (--all shows them and why)`)
    return undefined
  },
})
