/**
 * Who a node is, in its root: host name, machine id, SSH host key. They are
 * there before the node first starts, so no unit of the image makes others.
 *
 * Source: hosts(5), machine-id(5).
 */
import { file, type RootEdit, remove } from './root-edit.ts'
import type { RootLook, RootSnapshot } from './root-snapshot.ts'

export interface Identity {
  name: string
  domain?: string
  /** 32 hex digits. */
  machineId: string
  /** Of its ed25519 host key. */
  hostKey: { privateKey: string; publicLine: string }
}

const hostKeys = ['rsa', 'ecdsa', 'ed25519', 'dsa'].flatMap((kind) => [
  `/etc/ssh/ssh_host_${kind}_key`,
  `/etc/ssh/ssh_host_${kind}_key.pub`,
])

export const identityLook: RootLook = { paths: hostKeys, texts: ['/etc/hosts'], links: [] }

export function identityEdits(identity: Identity, snapshot: RootSnapshot): RootEdit[] {
  const { name, machineId, hostKey } = identity
  const ours = ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_ed25519_key.pub']
  return [
    file('/etc/hostname', `${name}\n`),
    file('/etc/hosts', withOwnName(snapshot.text('/etc/hosts'), identity)),
    file('/etc/machine-id', `${machineId}\n`, 0o444),
    // Known_hosts names one key; another would only be a second way in to trust.
    ...hostKeys.filter((path) => snapshot.has(path) && !ours.includes(path)).map(remove),
    file('/etc/ssh/ssh_host_ed25519_key', hostKey.privateKey, 0o600),
    file('/etc/ssh/ssh_host_ed25519_key.pub', `${hostKey.publicLine}\n`),
  ]
}

/** The node finds itself without DNS. */
export function withOwnName(hosts: string, { name, domain }: Pick<Identity, 'name' | 'domain'>): string {
  const own = `127.0.1.1\t${domain === undefined ? '' : `${name}.${domain} `}${name}`
  const lines = hosts.split('\n').filter((line) => line.trim() !== '' && !/^127\.0\.1\.1\s/.test(line))
  if (!lines.some((line) => /^127\.0\.0\.1\s/.test(line))) lines.unshift('127.0.0.1\tlocalhost')
  return [...lines, own, ''].join('\n')
}
