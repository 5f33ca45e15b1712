/** `piimage boot`: start in QEMU what would be on the card, and ask whether it is the node it should be. */
import { boot } from '../work/boot/boot.ts'
import type { BootRequest } from '../work/boot/request.ts'
import { describeBootEvent } from '../work/boot/words.ts'
import type { BootEvent } from '../work/events.ts'
import { callerOf, OS_FLAG } from './caller.ts'
import { defineCommand } from './command.ts'
import { nodesRequest } from './one-off-flags.ts'

type BootArgs = Omit<BootRequest, 'what' | 'files' | 'oneOff'> & { what: string[] }

export const bootCommand = defineCommand<BootArgs>({
  command: 'boot [what..]',
  describe: 'Start nodes or images in QEMU before any card is written, and ask who they are',
  builder: (cli) =>
    cli
      .positional('what', {
        ...({ type: 'string', array: true, default: [] as string[] } as const),
        describe: 'Nodes of the cluster file, raw images or cards (./FILE.img)',
      })
      .option('all', { type: 'boolean', describe: 'Every node that boots from a card, on one network' })
      .option('as', { type: 'string', nargs: 1, describe: 'Start it as this model' })
      .option('keep', { type: 'boolean', describe: 'Leave it running until Ctrl-C' })
      .option('console', { type: 'boolean', describe: 'Show all that the serial console says' })
      .option('net', { type: 'boolean', describe: 'Let it out to the network' })
      .option('timeout', { type: 'number', nargs: 1, default: 30, describe: 'Minutes it has to come up' })
      .option('os', { type: 'string', nargs: 1, describe: OS_FLAG })
      .option('force', { type: 'boolean', describe: 'Also what its board would not boot' })
      .example('$0 boot oneil', 'Does the card come up?')
      .example('$0 boot --all --net', 'The cluster, formed here'),
  async run(args, context) {
    const request = await nodesRequest({ ...args, 'trust-first-use': false }, context.world)
    const tell = (event: BootEvent) => context.output.print(describeBootEvent(event))
    const tellers = { 'boot-start': tell, 'boot-step': tell, console: tell, booted: tell, kept: tell }
    return boot({ ...args, ...request }, callerOf(args, context, tellers))
  },
})
