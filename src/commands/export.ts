/** `piimage export`: the cluster as other tools want it, to stdout or to a file of its own. */
import { homedir } from 'node:os'
import { UsageError } from '../errors.ts'
import { fromHome } from '../io/portable-path.ts'
import { type ExportRequest, exportCluster, exportFormats } from '../work/export.ts'
import { callerOf, common } from './caller.ts'
import { defineCommand } from './command.ts'
import { type SshArgs, sshOptions } from './ssh-flags.ts'

interface ExportArgs extends SshArgs {
  format: ExportRequest['format']
  output?: string
  'known-hosts'?: string
  address: string[]
  node?: string[]
  server?: string
}

export const exportCommand = defineCommand<ExportArgs>({
  command: 'export <format>',
  describe: 'Files for ssh, Ansible, kubectl, /etc/hosts and the boards themselves',
  builder: (cli) =>
    cli
      .positional('format', {
        choices: exportFormats,
        demandOption: true,
        describe: 'What to make',
      })
      .option('output', {
        alias: 'o',
        type: 'string',
        nargs: 1,
        describe: 'File to write (default: stdout)',
      })
      .option('known-hosts', {
        type: 'string',
        nargs: 1,
        describe: 'Where known-hosts goes (default: known_hosts beside the cluster file)',
      })
      .option('address', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        describe: 'NODE=ADDRESS: where a node is that asks for its address by DHCP',
      })
      .option('node', { type: 'string', array: true, nargs: 1, describe: 'eeprom: only these nodes' })
      .option('server', {
        type: 'string',
        nargs: 1,
        describe: "kubeconfig: where the API is (default: the head's address)",
      })
      .option('identity', { type: 'string', nargs: 1, describe: 'kubeconfig: private key to log in with' })
      .option('ssh-config', { type: 'string', nargs: 1, describe: 'kubeconfig: ssh configuration to use' })
      .example('$0 export known-hosts -o known_hosts', 'Host keys, before the first boot')
      .example('$0 export ssh-config -o ssh_config', 'Then: ssh -F ssh_config oneil')
      .example('$0 export kubeconfig -o kubeconfig', 'From the head of a Kubernetes cluster'),
  async run(args, context) {
    const { world, output } = context
    const { format, output: file, 'known-hosts': knownHosts, server, node: nodes } = args
    if (format === 'kubeconfig' && args.json && file === undefined)
      throw new UsageError("a kubeconfig holds an administrator's key, and --json holds no secrets", {
        hint: 'Name a file: -o kubeconfig',
      })
    const request = { ...common(args), ...sshOptions(args), format, file, knownHosts, server, nodes }
    const made = await exportCluster(request, callerOf(args, context))
    if (made.file === undefined) {
      output.printFile(made.text.replace(/\n$/, ''))
      return { format, text: made.text }
    }
    const shown = fromHome(made.file, world.env.HOME ?? homedir())
    output.note(`made ${file}`)
    const notes: Partial<Record<ExportRequest['format'], string[]>> = {
      'ssh-config': [
        `Use it with ssh -F ${file} NODE, or for good with this line at the top of ~/.ssh/config:`,
        `  Include ${shown}`,
      ],
      kubeconfig: [
        `Use it with kubectl --kubeconfig ${file} get nodes, or beside your own:`,
        `  export KUBECONFIG=~/.kube/config:${shown}`,
        'It opens the whole cluster: keep it out of git.',
      ],
    }
    for (const line of notes[format] ?? []) output.note(line)
    return { format, file: made.file }
  },
})
