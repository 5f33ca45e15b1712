/** What a test's cluster keeps to itself: what its person gave, and what was derived from its key. */
import { readFileSync } from 'node:fs'
import { k3sToken } from '../../src/features/k3s/feature.ts'
import { kubeadmToken } from '../../src/features/kubeadm/feature.ts'
import { portainerPassword } from '../../src/features/portainer/feature.ts'
import { joinKey } from '../../src/features/swarm/artifacts.ts'
import { parseClusterKey } from '../../src/secrets/cluster-key.ts'
import { derive } from '../../src/secrets/derive.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { cryptAlphabet, sha512crypt } from '../../src/secrets/sha512crypt.ts'
import { deriveWpaPsk } from '../../src/secrets/wpa-psk.ts'
import type { Project } from '../support/project.ts'
import { allPurposes } from '../support/purposes.ts'

export const PASSWORD = 'the password of ops'
export const PASSPHRASE = 'the pass phrase of attic'

/** Everything that was derived or given for this cluster and is nobody else's business. */
export function secretsOf(made: Pick<Project, 'file'>): Map<string, string> {
  const key = parseClusterKey(readFileSync(made.file('cluster.key'), 'utf8'), 'cluster.key')
  const keys = nodeKeys(key)
  const salt = [...derive(key, 'password-salt', 'ops', 16)].map((byte) => cryptAlphabet[byte % 64]).join('')
  const secrets = new Map([
    ['the cluster key', Buffer.from(key.reveal()).toString('hex')],
    ['the cluster key, base64', Buffer.from(key.reveal()).toString('base64')],
    ['the password', PASSWORD],
    ['the password hash', sha512crypt(PASSWORD, salt)],
    ['the pass phrase', PASSPHRASE],
    ['the Wi-Fi key', deriveWpaPsk(PASSPHRASE, 'attic')],
    ["kubeadm's token", kubeadmToken(keys).reveal()],
    ["k3s' token", k3sToken(keys, 'k3s-token').reveal()],
    ["k3s' agent token", k3sToken(keys, 'k3s-agent-token').reveal()],
    ["Portainer's password", portainerPassword(keys).reveal()],
  ])
  // Ids are public: they tell nodes apart and open nothing.
  const open = ['machine-id', 'instance-id', 'connection-uuid', 'password-salt']
  for (const node of ['', 'hammond', 'oneil', 'carter'])
    for (const purpose of allPurposes) {
      if (open.includes(purpose)) continue
      const bytes = derive(key, purpose, node, 32)
      secrets.set(`${purpose} of ${node}`, bytes.toString('hex'))
      secrets.set(`${purpose} of ${node}, base64`, bytes.toString('base64').slice(0, 40))
    }
  for (const node of ['hammond', 'oneil', 'carter'])
    for (const pair of [sshHostKey(key, node), joinKey(keys, node)])
      for (const [index, line] of pair.privateKey.reveal().split('\n').entries())
        if (line.length > 30 && !line.startsWith('---'))
          secrets.set(`private key of ${node}, line ${index}`, line)
  return secrets
}
