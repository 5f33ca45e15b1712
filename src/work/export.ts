/**
 * `export`: the cluster as other tools want it. All but `kubeconfig` come from
 * the cluster file alone; that one is asked of the head.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
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
import { readInputText } from '../io/input-file.ts'
import { makeOutputFolder } from '../io/ownership.ts'
import { expandHome, fromHome } from '../io/portable-path.ts'
import { type Caller, note } from './caller.ts'
import { fetchKubeconfig, type KubeconfigOptions } from './kubeconfig.ts'
import { knownAddresses } from './node-ssh.ts'
import { chooseNodes, openProject, type Project } from './project.ts'
import type { ClusterRequest } from './request.ts'

export const exportFormats = [
  'ssh-config',
  'ansible',
  'hosts',
  'known-hosts',
  'kubeconfig',
  'eeprom',
] as const

export interface ExportRequest extends ClusterRequest, KubeconfigOptions {
  format: (typeof exportFormats)[number]
  /** File to write; never one that somebody else wrote. Default: the text is only returned. */
  file?: string
  /** Where known-hosts goes. Default: `known_hosts` beside the cluster file. */
  knownHosts?: string
}

export interface Exported {
  format: ExportRequest['format']
  /** Ends in a newline. */
  text: string
  /** The file that was written. */
  file?: string
}

interface Job {
  request: ExportRequest
  caller: Caller
  cluster: Project['cluster']
  keys: Project['keys']
  home: string
  addresses: KnownAddresses
  /** Where the exported known_hosts lies, absolute. */
  knownHosts: string
}

/** @returns the text, ending in a newline */
type Exporter = (job: Job) => Promise<string> | string

/** @throws {UsageError} a format that doesn't fit the cluster, or a file that may not be written */
export async function exportCluster(request: ExportRequest, caller: Caller): Promise<Exported> {
  const { format } = request
  const { cluster, keys } = await openProject(request, caller)
  const home = caller.env.HOME ?? homedir()
  const absolute = (path: string) => resolve(caller.cwd, expandHome(path, home))
  const knownHosts = absolute(request.knownHosts ?? join(cluster.folder, 'known_hosts'))
  const addresses = knownAddresses(cluster, request)
  const file = request.file === undefined ? undefined : absolute(request.file)
  if (file !== undefined) await refuseForeign(file, request.file ?? '', home, caller)
  const text = await exporters[format]({ request, caller, cluster, keys, home, addresses, knownHosts })
  if (file === undefined) return { format, text }
  await makeOutputFolder(dirname(file))
  await writeFileAtomically(file, text, format === 'kubeconfig' ? 0o600 : 0o644)
  return { format, text, file }
}

const exporters: Record<ExportRequest['format'], Exporter> = {
  'ssh-config': (job) => {
    noteUnknown(job)
    return formatSshConfig(job.cluster, sshFacts(job))
  },
  ansible: (job) => {
    noteUnknown(job)
    return formatAnsibleInventory(job.cluster, sshFacts(job))
  },
  hosts: ({ cluster }) => formatHosts(cluster),
  'known-hosts': async ({ cluster, keys, addresses }) => {
    const { hostKey } = await keys()
    return formatKnownHosts(cluster, (node) => hostKey(node).publicLine, addresses)
  },
  kubeconfig: async ({ request, caller, cluster, keys }) => {
    const { text, head, address } = await fetchKubeconfig(cluster, keys, request, caller)
    if (request.server === undefined)
      note(
        caller,
        `The API is looked for at ${address}, inside the cluster's network. From outside: export kubeconfig --server 127.0.0.1, and ssh -L 6443:${address}:6443 ${head.name}`,
      )
    return text
  },
  eeprom: ({ request, cluster }) => {
    const kinds = planEeprom(cluster, chooseNodes(cluster, request.nodes))
    const several = kinds.filter(({ isBootConf }) => isBootConf)
    if (request.file !== undefined && several.length > 1)
      throw new UsageError(`these nodes need ${several.length} different boot.conf files`, {
        hint: `Choose alike ones with --node: ${several.map((kind) => kind.nodes.join(' ')).join(' | ')}`,
      })
    return kinds.map(({ text }) => text).join('\n')
  },
}

const sshFacts = ({ knownHosts, home, addresses }: Job) => ({
  knownHosts: writablePath(knownHosts, home),
  identityFile: findIdentityFiles(home),
  addresses,
})

/** Say what the file doesn't know yet. */
function noteUnknown({ caller, cluster, addresses, knownHosts }: Job): void {
  if (!existsSync(knownHosts))
    note(
      caller,
      `Host keys are looked for in ${knownHosts}; make it with: piimage export known-hosts -o ${relative(caller.cwd, knownHosts)}`,
    )
  for (const { node, address } of planReach(cluster, addresses))
    if (address === `${node.name}.local`)
      note(
        caller,
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

/** @throws {UsageError} the file is the person's own, or nobody said that it may be replaced */
async function refuseForeign(file: string, shownAs: string, home: string, caller: Caller): Promise<void> {
  if (file === join(home, '.kube', 'config'))
    throw new UsageError(`${shownAs} is your own kubeconfig and is never written to`, {
      hint: 'Write to another file, and name both: export KUBECONFIG=~/.kube/config:FILE',
    })
  if (file === join(home, '.ssh', 'config'))
    throw new UsageError(`${shownAs} is your own ssh configuration and is never written to`, {
      hint: 'Write to another file, and put an Include line for it at the top of ~/.ssh/config',
    })
  if (!existsSync(file) || hasHeading(readInputText(file))) return
  if (await caller.confirm({ about: 'replace', files: [shownAs] })) return
  throw new UsageError(`${shownAs} is there already, and piimage did not make it`, {
    hint: 'Name another file, or replace it with --yes',
  })
}
