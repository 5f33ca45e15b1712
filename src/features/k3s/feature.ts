/** Kubernetes as k3s makes it: one program, a server on the head and agents on the others. */
import type { Feature } from '../../cluster/feature.ts'
import { Secret } from '../../secret.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'
import { authorityArtifacts, authorityPurposes, clusterAuthority } from '../kubernetes/authority.ts'

/** Server and agent tokens: 64 hex digits. */
export const k3sToken = (keys: NodeKeys, purpose: 'k3s-token' | 'k3s-agent-token'): Secret =>
  new Secret(keys.derive(purpose, '', 32).toString('hex'))

export const k3s: Feature = {
  name: 'k3s',
  needs: ['cgroups'],
  personal: true,
  ranges: [
    { what: 'the pod network', range: '10.42.0.0/16' },
    { what: 'the service network', range: '10.43.0.0/16' },
  ],
  purposes: {
    ...authorityPurposes,
    'k3s-token': 'cluster: server token',
    'k3s-agent-token': 'cluster: agent token',
    'k3s-node-password': 'node: what it shows the head to be the node that had its name before',
  },
  artifacts: [
    ...authorityArtifacts,
    {
      name: 'k3s-token',
      meaning: 'secret: the server token of k3s, for the head only',
      headOnly: true,
      of: (_, keys) => new Secret(`${k3sToken(keys, 'k3s-token').reveal()}\n`),
    },
    {
      name: 'k3s-agent-password',
      meaning: 'secret: the agent token of k3s, as the head takes it',
      headOnly: true,
      of: (_, keys) => new Secret(`${k3sToken(keys, 'k3s-agent-token').reveal()}\n`),
    },
    {
      name: 'k3s-agent-token',
      meaning: 'secret: the same with the digest of the authority, as an agent takes it',
      // `K10<digest of the authority>::<user>:<password>`: with it an agent checks its server.
      of: (_, keys) =>
        new Secret(
          `K10${clusterAuthority(keys).certificateDigest}::node:${k3sToken(keys, 'k3s-agent-token').reveal()}\n`,
        ),
    },
    {
      name: 'k3s-node-password',
      meaning: "secret: this node's password, which the head keeps from its first join on",
      of: ({ node }, keys) =>
        new Secret(`${keys.derive('k3s-node-password', node.name, 16).toString('hex')}\n`),
    },
  ],
  storage: {
    folders: [{ name: 'rancher', target: '/var/lib/rancher', mode: 0o755 }],
    units: ['k3s.service', 'k3s-agent.service'],
  },
  secretForms: [{ name: 'a k3s token', form: /\bK10[0-9a-f]{64}::/ }],
  probe: `if command -v k3s >/dev/null; then echo "k3s $(systemctl is-active k3s k3s-agent 2>/dev/null | grep -x active | head -n 1)"; fi`,
  join: {
    kubeconfig: '/etc/rancher/k3s/k3s.yaml',
    refuse: ({ title, cpu }) =>
      cpu === 'armv6'
        ? {
            about: 'model',
            problem: `is a ${title} (${cpu}): k3s does not run on it`,
            hint: 'k3s needs ARMv7 or arm64',
          }
        : undefined,
  },
}
