/** `piimage drives`: what is plugged in, and what piimage would say to each. */

import { listDrives } from '../drives/list.ts'
import { findRefusal } from '../drives/refusal.ts'
import { formatTable } from '../report/table.ts'
import { defineCommand } from './command.ts'
import { describeDrive } from './describe-drive.ts'

interface DrivesArgs {
  all: boolean
}

export const drivesCommand = defineCommand<DrivesArgs>({
  command: 'drives',
  describe: 'List the drives, and which of them piimage would write to',
  builder: (cli) =>
    cli.option('all', { type: 'boolean', default: false, describe: 'Also drives that would be refused' }),
  async run(args, { output }) {
    const drives = await listDrives()
    const judged = drives.map((drive) => ({
      drive,
      refusal: findRefusal(drive, { imageLength: 0, holdsCache: false }),
    }))
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
