/** How a drive is named and judged, the same for every command that shows or writes one. */
import type { Argv } from 'yargs'

export interface DriveArgs {
  serial?: string
  unmount: boolean
}

export const driveFlags = <Args>(cli: Argv<Args>) =>
  cli
    .option('serial', {
      type: 'string',
      nargs: 1,
      describe: "The drive's serial: needed over 256 GB, and for a drive that is not removable",
    })
    .option('unmount', {
      type: 'boolean',
      default: false,
      describe: 'Unmount what was mounted from the card',
    })
