/** A small cluster to plan for, and stock boot partitions as the publishers ship them. */
import type { Cluster, Node, OverlayUse } from '../../src/cluster/node.ts'
import { Secret } from '../../src/secret.ts'
import { ClusterKey } from '../../src/secrets/cluster-key.ts'
import type { HostKey, NodeKeys } from '../../src/secrets/node-keys.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'

export const place = { file: 'cluster.yaml', line: 1, column: 1 }
export const use = (name: string, parameters: Record<string, unknown> = {}): OverlayUse => ({
  name,
  parameters,
})

export const PASSWORD_HASH =
  '$6$saltsalt$0123456789abcdefghijklmnopqrstuvwxyz./ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijkl'
export const PSK = 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e'
export const PRIVATE_KEY =
  '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n-----END OPENSSH PRIVATE KEY-----\n'

export const keys: NodeKeys = {
  ...nodeKeys(new ClusterKey(Buffer.alloc(32, 7))),
  hostKey: (node): HostKey => ({
    privateKey: new Secret(PRIVATE_KEY),
    publicLine: `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHostKey ${node}`,
  }),
}

export function makeNode(overrides: Partial<Node> = {}): Node {
  return {
    name: 'oneil',
    model: 'pi4',
    image: 'raspios-trixie-arm64-lite@2025-12-04',
    interfaces: [
      {
        name: 'eth0',
        address: { ip: '172.19.181.1', prefix: 24, gateway: '172.19.181.254' },
        dns: ['172.19.181.254'],
        domain: 'sgc.lan',
      },
    ],
    user: {
      name: 'ops',
      passwordHash: new Secret(PASSWORD_HASH),
      sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIUserKey ops@laptop'],
      sudoPassword: false,
    },
    locale: { timezone: 'Europe/Berlin', keymap: 'de', locale: 'en_GB.UTF-8' },
    overlays: ['hostname', 'user', 'ssh', 'locale', 'static-network', 'cgroups'].map((name) => use(name)),
    boot: 'card',
    role: 'worker',
    manager: false,
    labels: {},
    groups: ['workers'],
    place,
    ...overrides,
  }
}

export function makeCluster(nodes: Node[], overrides: Partial<Cluster> = {}): Cluster {
  return {
    name: 'sgc',
    file: 'cluster.yaml',
    folder: '/nonexistent',
    network: {
      cidr: '172.19.181.0/24',
      gateway: '172.19.181.254',
      dns: ['172.19.181.254'],
      domain: 'sgc.lan',
    },
    join: { kind: 'none', by: 'pull' },
    netroot: { layout: 'serial', root: 'auto' },
    warnings: [],
    nodes,
    ...overrides,
  }
}
