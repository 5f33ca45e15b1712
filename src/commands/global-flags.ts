/** The flags that every command takes. */
import type { Argv } from 'yargs'
import type { GlobalArgs } from './command.ts'

/** As --help calls them. */
export const GLOBAL_GROUP = 'For every command:'

export function addGlobalFlags(cli: Argv): Argv<GlobalArgs> {
  return cli
    .option('cluster', {
      type: 'string',
      nargs: 1,
      default: 'cluster.yaml',
      describe: 'Cluster file',
      global: true,
    })
    .option('lock', {
      type: 'string',
      nargs: 1,
      describe: 'Lock file (default: the one shipped and images.lock.json beside the cluster file)',
    })
    .option('cache', { type: 'string', nargs: 1, describe: 'Cache folder (PIIMAGE_CACHE)' })
    .option('json', { type: 'boolean', default: false, describe: 'One JSON object per line on stdout' })
    .option('quiet', { type: 'boolean', default: false, describe: 'No progress, no notes' })
    .option('color', {
      type: 'boolean',
      default: true,
      describe: 'Colour on a terminal (--no-color, NO_COLOR)',
    })
    .option('offline', { type: 'boolean', default: false, describe: 'Never use the network' })
    .option('yes', { type: 'boolean', default: false, describe: 'Do not ask before erasing or replacing' })
    .group(
      ['cluster', 'lock', 'cache', 'json', 'quiet', 'color', 'offline', 'yes', 'help', 'version'],
      GLOBAL_GROUP,
    )
}
