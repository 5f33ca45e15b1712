/**
 * An Ansible inventory in YAML.
 *
 * Groups: all nodes under the cluster's name; `head` and `workers`; for a
 * ClusterHAT `clusterctrl` with `clusterctrl_server` and `clusterctrl_nodes`; the
 * cluster file's own. Host keys are checked against the exported known_hosts.
 *
 * A node behind a gate is reached with ProxyCommand, which is what ProxyJump
 * stands for, because options of the command line don't reach a ProxyJump host:
 * the gate's own key would be looked for in another known_hosts and not be found.
 *
 * Source: Ansible documentation, "ansible.builtin.yaml inventory" and
 * "ansible.builtin.ssh connection"; group names are words of Python.
 */
import { stringify } from 'yaml'
import type { Cluster, Node } from '../cluster/node.ts'
import { formatHeading } from './heading.ts'
import { hasDerivedHostKey } from './known-hosts.ts'
import { type KnownAddresses, planReach, type Reach } from './reach.ts'

export interface AnsibleOptions {
  /** The exported known_hosts: absolute, or starting with `~/`. */
  knownHosts: string
  /** The file of a private key that opens the node, where one is known. */
  identityFile?: (node: Node) => string | undefined
  addresses?: KnownAddresses
}

interface Group {
  hosts?: Record<string, null>
  children?: Record<string, Group>
}

/** The text, ending in a newline. */
export function formatAnsibleInventory(cluster: Cluster, options: AnsibleOptions): string {
  const reaches = planReach(cluster, options.addresses)
  const asking = cluster.nodes.filter(({ user }) => user?.sudoPassword === true)
  const inventory = {
    all: {
      vars: { ansible_python_interpreter: '/usr/bin/python3' },
      hosts: Object.fromEntries(reaches.map((reach) => [reach.node.name, hostOf(reach, options)])),
      children: groupsOf(cluster),
    },
  }
  return [
    formatHeading('Ansible inventory', cluster, 'export ansible'),
    asking.length === 0
      ? '# sudo asks for no password: become: true is enough.'
      : `# sudo asks for a password on ${asking.map(({ name }) => name).join(', ')}: ansible-playbook --ask-become-pass`,
    stringify(inventory, { lineWidth: 0, nullStr: '' }),
  ].join('\n')
}

function hostOf(reach: Reach, options: AnsibleOptions): Record<string, string | undefined> {
  const { node, address } = reach
  const words = sshOptions(reach, options)
  return {
    ansible_host: address,
    ansible_user: node.user?.name,
    ansible_ssh_common_args: words.length === 0 ? undefined : words.map(quoteWord).join(' '),
  }
}

function sshOptions({ node, through }: Reach, options: AnsibleOptions): string[] {
  const settings: string[] = []
  if (hasDerivedHostKey(node))
    settings.push(
      `UserKnownHostsFile=${escapeTokens(options.knownHosts)}`,
      `HostKeyAlias=${node.name}`,
      'StrictHostKeyChecking=yes',
    )
  const identity = options.identityFile?.(node)
  if (identity !== undefined) settings.push(`IdentityFile=${escapeTokens(identity)}`)
  if (through !== undefined) settings.push(`ProxyCommand=${proxyCommand(through, options)}`)
  return settings.flatMap((setting) => ['-o', setting])
}

/** `ssh -W` to where ssh wants to go (%h, %p), by way of the gate, itself maybe behind another. */
function proxyCommand(gate: Reach, options: AnsibleOptions): string {
  const login = gate.node.user === undefined ? gate.address : `${gate.node.user.name}@${gate.address}`
  // ssh replaces %-tokens of this command; those of the commands inside it are for the ssh inside.
  const inner = sshOptions(gate, options).map(escapeTokens)
  return ['ssh', '-W', '%h:%p', ...inner, login].map(quoteWord).join(' ')
}

/** ssh replaces `%h` and its like in paths and commands. */
const escapeTokens = (text: string): string => text.replaceAll('%', '%%')

/** A word as a shell, and Ansible's splitting, take it. */
const quoteWord = (word: string): string =>
  /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

function groupsOf({ name, nodes }: Cluster): Record<string, Group> {
  const members = new Map<string, Node[]>()
  const put = (group: string, chosen: readonly Node[]): void => {
    const key = group.replaceAll('-', '_').replace(/^(?=\d)/, '_')
    // Ansible's own words, and names of hosts, are no groups.
    if (key === 'all' || key === 'ungrouped' || chosen.length === 0) return
    if (nodes.some((node) => node.name === key)) return
    members.set(key, [...new Set([...(members.get(key) ?? []), ...chosen])])
  }
  put(name, nodes)
  put(
    'head',
    nodes.filter(({ role }) => role === 'head'),
  )
  put(
    'workers',
    nodes.filter(({ role }) => role === 'worker'),
  )
  put(
    'clusterctrl_server',
    nodes.filter(({ clusterHat }) => clusterHat !== undefined && clusterHat.role !== 'slot'),
  )
  put(
    'clusterctrl_nodes',
    nodes.filter(({ clusterHat }) => clusterHat?.role === 'slot'),
  )
  for (const group of new Set(nodes.flatMap(({ groups }) => groups)))
    put(
      group,
      nodes.filter(({ groups }) => groups.includes(group)),
    )
  const groups: Record<string, Group> = Object.fromEntries(
    [...members].map(([group, chosen]) => [
      group,
      { hosts: Object.fromEntries(chosen.map((node) => [node.name, null])) },
    ]),
  )
  const hat = ['clusterctrl_server', 'clusterctrl_nodes'].filter((group) => members.has(group))
  if (hat.length > 0)
    groups.clusterctrl = { ...groups.clusterctrl, children: Object.fromEntries(hat.map((one) => [one, {}])) }
  return groups
}
