/** `piimage station`: the page's address on the terminal; what happens there as lines of `--json`. */
import { formatUnit } from '../station/service.ts'
import { LOCAL, station } from '../station/station.ts'
import { callerOf, common } from './caller.ts'
import { defineCommand } from './command.ts'

interface StationArgs {
  drive: string[]
  listen: string
  passwordFile?: string
  open: boolean
  unmount: boolean
  service: boolean
}

const text = (describe: string) => ({ type: 'string', nargs: 1, describe }) as const
const yes = (describe: string) => ({ type: 'boolean', default: false, describe }) as const
const ANY = { type: 'string', array: true, default: [] } as const

export const stationCommand = defineCommand<StationArgs>({
  command: 'station [drive..]',
  describe: 'A page on which cards are made, for this machine or its network',
  builder: (cli) =>
    cli
      .positional('drive', { ...ANY, describe: 'Readers to use (default: any card that is put in)' })
      .option('listen', { ...text('HOST:PORT; one that others reach needs --password-file'), default: LOCAL })
      .option('password-file', text('File with the password to come in by'))
      .option('open', yes('Show the page in the browser'))
      .option('unmount', yes('A batch unmounts what was mounted from a card'))
      .option('service', yes('Print a systemd unit that runs it'))
      .example('sudo $0 station', 'Prints the address to open') as never,
  needsThreads: ({ service }) => !service,
  async run(args, context) {
    const { drive: readers, listen, passwordFile, open, unmount, service } = args
    const { output, world } = context
    const request = { ...common(args), readers, listen, passwordFile, open, unmount }
    if (service) return void output.printFile(formatUnit(request, world.cwd))
    await station(request, callerOf(args, context), ({ event, ...told }) => {
      output.event(event, told)
      output.print(`Open ${told.address} (it works once; the next one is printed then)`)
      if (told.fingerprint !== null)
        output.print(`The browser warns of a certificate: it is right if its sha256 is ${told.fingerprint}`)
    })
    return undefined
  },
})
