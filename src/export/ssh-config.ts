/**
 * An ssh configuration for the whole cluster, for `ssh -F FILE NODE` or one
 * Include line.
 *
 * ssh takes the first value it finds for each setting, so every node has a block
 * of its own and what they share comes last. There is no pattern that a gate
 * could match too: a gate that jumps through itself never connects.
 *
 * Hosts are known by name (HostKeyAlias), not by address: two ClusterHATs have
 * the same addresses. Their keys are derived from the cluster key, so an unknown
 * one is refused instead of asked about.
 *
 * Source: ssh_config(5).
 */
import type { Cluster, Node } from '../cluster/node.ts'
import { formatHeading } from './heading.ts'
import { hasDerivedHostKey } from './known-hosts.ts'
import { type KnownAddresses, planReach, type Reach } from './reach.ts'

export interface SshConfigOptions {
  /** The exported known_hosts: absolute, or starting with `~/`. */
  knownHosts: string
  /** The file of a private key that opens the node, where one is known. */
  identityFile?: (node: Node) => string | undefined
  addresses?: KnownAddresses
}

/** The text, ending in a newline. */
export function formatSshConfig(cluster: Cluster, options: SshConfigOptions): string {
  const reaches = planReach(cluster, options.addresses)
  const keyed = reaches.filter(({ node }) => hasDerivedHostKey(node))
  const blocks = [
    formatHeading('ssh configuration', cluster, 'export ssh-config'),
    ...reaches.map((reach) => formatHost(reach, options)),
  ]
  if (keyed.length > 0)
    blocks.push(
      formatBlock(
        keyed.flatMap(({ node }) => aliasesOf(node)),
        [
          ['UserKnownHostsFile', quote(options.knownHosts)],
          ['StrictHostKeyChecking', 'yes'],
        ],
      ),
    )
  return `${blocks.join('\n\n')}\n`
}

function formatHost({ node, address, through }: Reach, { identityFile }: SshConfigOptions): string {
  const identity = identityFile?.(node)
  const settings: [string, string][] = [['HostName', address]]
  if (hasDerivedHostKey(node)) settings.push(['HostKeyAlias', node.name])
  if (node.user !== undefined) settings.push(['User', node.user.name])
  if (identity !== undefined) settings.push(['IdentityFile', quote(identity)])
  if (through !== undefined) settings.push(['ProxyJump', through.node.name])
  return formatBlock(aliasesOf(node), settings)
}

/** `oneil`, and `oneil.chappa.ai` where it has a domain. */
const aliasesOf = ({ name, interfaces }: Node): string[] => [
  name,
  ...new Set(interfaces.flatMap(({ domain }) => (domain === undefined ? [] : `${name}.${domain}`))),
]

const formatBlock = (hosts: readonly string[], settings: readonly [string, string][]): string =>
  [`Host ${hosts.join(' ')}`, ...settings.map(([key, value]) => `  ${key} ${value}`)].join('\n')

/** A path as ssh_config takes it: `%` starts a token there, and spaces end a word. */
const quote = (path: string): string => {
  const text = path.replaceAll('%', '%%')
  return /[\s#]/.test(text) ? `"${text}"` : text
}
