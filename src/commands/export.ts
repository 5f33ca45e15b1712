/**
 * `piimage export`: the cluster as other tools want it. To stdout, or to a file
 * of its own; never into a file that somebody else wrote. All but `kubeconfig`
 * come from the cluster file alone; that one is asked of the head.
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import type { Cluster } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import { formatAnsibleInventory } from '../export/ansible.ts'
import { planEeprom } from '../export/eeprom.ts'
import { hasHeading } from '../export/heading.ts'
import { formatHosts } from '../export/hosts.ts'
import { findIdentityFiles } from '../export/identity-file.ts'
import { formatKnownHosts } from '../export/known-hosts.ts'
import { type KnownAddresses, planReach } from '../export/reach.ts'
import { formatSshConfig } from '../export/ssh-config.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { makeOutputFolder } from '../io/ownership.ts'
import { expandHome, fromHome } from '../io/portable-path.ts'
import { fetchKubeconfig, type KubeconfigArgs } from '../work/kubeconfig.ts'
import { findNode, openProject, type Project } from '../work/project.ts'
import { parseAddresses } from './addresses.ts'
import { type Context, defineCommand, type GlobalArgs } from './command.ts'

interface ExportArgs extends KubeconfigArgs {
  format: string
  output?: string
  'known-hosts'?: string
  address: string[]
}

interface Job {
  args: GlobalArgs & ExportArgs
  context: Context
  cluster: Cluster
  keys: Project['keys']
  home: string
  addresses: KnownAddresses
  /** Where the exported known_hosts lies, absolute. */
  knownHosts: string
}

/** @returns the text, ending in a newline */
type Exporter = (job: Job) => Promise<string> | string

export const exportCommand = defineCommand<ExportArgs>({
  command: 'export <format>',
  describe: 'Files for ssh, Ansible, kubectl, /etc/hosts and the boards themselves',
  builder: (cli) =>
    cli
      .positional('format', {
        choices: Object.keys(exporters),
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
    const exporter = exporters[args.format]
    if (exporter === undefined) throw new Error(`no exporter ${args.format}`)
    const { cluster, keys } = await openProject(args, context)
    if (args.format === 'kubeconfig' && args.json && args.output === undefined) refuseSecret()
    const home = world.env.HOME ?? homedir()
    const knownHosts = resolve(
      world.cwd,
      args['known-hosts'] === undefined
        ? join(cluster.folder, 'known_hosts')
        : expandHome(args['known-hosts'], home),
    )
    const addresses = parseAddresses(args.address, cluster)
    const file = args.output === undefined ? undefined : resolve(world.cwd, expandHome(args.output, home))
    if (file !== undefined) refuseForeign(file, args.output ?? '', args.yes, home)
    const text = await exporter({ args, context, cluster, keys, home, addresses, knownHosts })
    if (file === undefined) {
      output.printFile(text.replace(/\n$/, ''))
      return { format: args.format, text }
    }
    await makeOutputFolder(dirname(file))
    await writeFileAtomically(file, text, args.format === 'kubeconfig' ? 0o600 : 0o644)
    output.note(`made ${args.output}`)
    const notes = {
      'ssh-config': [
        `Use it with ssh -F ${args.output} NODE, or for good with this line at the top of ~/.ssh/config:`,
        `  Include ${fromHome(file, home)}`,
      ],
      kubeconfig: [
        `Use it with kubectl --kubeconfig ${args.output} get nodes, or beside your own:`,
        `  export KUBECONFIG=~/.kube/config:${fromHome(file, home)}`,
        'It opens the whole cluster: keep it out of git.',
      ],
    }
    for (const line of notes[args.format as keyof typeof notes] ?? []) output.note(line)
    return { format: args.format, file }
  },
})

const exporters: Record<string, Exporter> = {
  'ssh-config': (job) => {
    noteUnknown(job)
    return formatSshConfig(job.cluster, {
      knownHosts: writablePath(job.knownHosts, job.home),
      identityFile: findIdentityFiles(job.home),
      addresses: job.addresses,
    })
  },
  ansible: (job) => {
    noteUnknown(job)
    return formatAnsibleInventory(job.cluster, {
      knownHosts: writablePath(job.knownHosts, job.home),
      identityFile: findIdentityFiles(job.home),
      addresses: job.addresses,
    })
  },
  hosts: ({ cluster }) => formatHosts(cluster),
  'known-hosts': async ({ cluster, keys, addresses }) => {
    const { hostKey } = await keys()
    return formatKnownHosts(cluster, (node) => hostKey(node).publicLine, addresses)
  },
  kubeconfig: async ({ args, context, cluster, keys }) => {
    const { text, head, address } = await fetchKubeconfig(cluster, keys, args, context.world)
    if (args.server === undefined)
      context.output.note(
        `The API is looked for at ${address}, inside the cluster's network. From outside: export kubeconfig --server 127.0.0.1, and ssh -L 6443:${address}:6443 ${head.name}`,
      )
    return text
  },
  eeprom: ({ args, cluster }) => {
    const nodes = args.node?.map((name) => findNode(cluster, name)) ?? cluster.nodes
    const kinds = planEeprom(cluster, nodes)
    const several = kinds.filter(({ isBootConf }) => isBootConf)
    if (args.output !== undefined && several.length > 1)
      throw new UsageError(`these nodes need ${several.length} different boot.conf files`, {
        hint: `Choose alike ones with --node: ${several.map((kind) => kind.nodes.join(' ')).join(' | ')}`,
      })
    return kinds.map(({ text }) => text).join('\n')
  },
}

/** Say what the file doesn't know yet. */
function noteUnknown({ context, cluster, addresses, knownHosts }: Job): void {
  const { output, world } = context
  if (!existsSync(knownHosts))
    output.note(
      `Host keys are looked for in ${knownHosts}; make it with: piimage export known-hosts -o ${relative(world.cwd, knownHosts)}`,
    )
  for (const { node, address } of planReach(cluster, addresses))
    if (address === `${node.name}.local`)
      output.note(
        `${node.name} asks for its address by DHCP and is looked for as ${address}; if that is not found: --address ${node.name}=ADDRESS`,
      )
}

/** @throws {UsageError} a path that ssh's configuration has no way to write */
function writablePath(path: string, home: string): string {
  if (/["'\\\n\r]|\$\{/.test(path))
    throw new UsageError(`${JSON.stringify(path)} can't be named in an ssh configuration`, {
      hint: 'Put the host keys elsewhere: --known-hosts ~/.ssh/known_hosts_cluster',
    })
  return fromHome(path, home)
}

/** @throws {UsageError} always: --json holds no secrets */
function refuseSecret(): never {
  throw new UsageError("a kubeconfig holds an administrator's key, and --json holds no secrets", {
    hint: 'Name a file: -o kubeconfig',
  })
}

/** @throws {UsageError} the file is the person's own, or nobody said that it may be replaced */
function refuseForeign(file: string, shownAs: string, yes: boolean, home: string): void {
  if (file === join(home, '.kube', 'config'))
    throw new UsageError(`${shownAs} is your own kubeconfig and is never written to`, {
      hint: 'Write to another file, and name both: export KUBECONFIG=~/.kube/config:FILE',
    })
  if (file === join(home, '.ssh', 'config'))
    throw new UsageError(`${shownAs} is your own ssh configuration and is never written to`, {
      hint: 'Write to another file, and put an Include line for it at the top of ~/.ssh/config',
    })
  if (yes || !existsSync(file) || hasHeading(readFileSync(file, 'utf8'))) return
  throw new UsageError(`${shownAs} is there already, and piimage did not make it`, {
    hint: 'Name another file, or replace it with --yes',
  })
}
