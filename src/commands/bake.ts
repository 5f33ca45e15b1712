/** `piimage bake`: nodes → image files for releases or other tools. */
import { type BakeFormat, bakeFormats } from '../bake/compress.ts'
import { formatBytes } from '../units.ts'
import { bake, bakeBootCards, parseShard } from '../work/bake.ts'
import { callerOf } from './caller.ts'
import { defineCommand } from './command.ts'
import { nodesRequest, type OneOffArgs, oneOffFlags } from './one-off-flags.ts'

interface BakeArgs extends OneOffArgs {
  node?: string[]
  all?: boolean
  output: string
  format: BakeFormat
  level?: number
  url: string
  release: boolean
  shard?: string
  bootcode?: boolean
  otp?: boolean
}

export const bakeCommand = defineCommand<BakeArgs>({
  command: 'bake',
  describe: 'Write nodes to image files for releases or other tools',
  builder: (cli) =>
    oneOffFlags(cli)
      .option('node', { type: 'string', array: true, nargs: 1, describe: 'Nodes to bake' })
      .option('all', { type: 'boolean', describe: 'Every node that boots from a card' })
      .conflicts('all', 'node')
      .option('output', {
        alias: 'o',
        type: 'string',
        nargs: 1,
        default: '.',
        describe: 'Folder to write into',
      })
      .option('format', {
        choices: bakeFormats,
        default: 'img' as BakeFormat,
        describe: 'Image file, or compressed',
      })
      .option('level', { type: 'number', nargs: 1, describe: 'Compression level' })
      .option('url', {
        type: 'string',
        nargs: 1,
        default: '',
        describe: 'Where the files will be served; for os_list.json',
      })
      .option('release', {
        type: 'boolean',
        default: false,
        describe: 'For everybody: no account, key or Wi-Fi in it; with an SBOM',
      })
      .option('shard', {
        type: 'string',
        nargs: 1,
        describe: 'With --all: only the Ith of N shares, as I/N',
      })
      .implies('shard', 'all')
      .option('bootcode', {
        type: 'boolean',
        describe: 'Instead: the card a Pi 1 or 2 boots the network with',
      })
      .option('otp', {
        type: 'boolean',
        describe: 'Instead: the card that lets a Pi 3B boot from the network',
      })
      .conflicts('bootcode', ['otp', 'shard'])
      .conflicts('otp', 'shard')
      .example('$0 bake --node oneil -o out --format xz', 'oneil.img.xz, .sha256, .bmap, os_list.json'),
  async run(args, context) {
    const { output } = context
    const shard = args.shard === undefined ? undefined : parseShard(args.shard)
    const { output: folder, format, level, url, release } = args
    const nodes = args.all ? ('all' as const) : args.node
    const request = { ...(await nodesRequest(args, context.world)), nodes, folder, format, level }
    const caller = callerOf(args, context, {
      baked: (event) =>
        output.print(
          'node' in event
            ? `${event.path}  ${formatBytes(event.size)}  sha256 ${event.sha256}`
            : `${event.path}  sha256 ${event.sha256}`,
        ),
    })
    return args.bootcode || args.otp
      ? bakeBootCards({ ...request, kind: args.otp ? 'otp' : 'bootcode' }, caller)
      : bake({ ...request, url, release, shard }, caller)
  },
})
