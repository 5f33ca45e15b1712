/**
 * What the nodes of a Kubernetes cluster share before they meet: tokens, and an
 * authority by which a worker knows the head. Its private key is the head's alone.
 */
import { Secret } from '../../secret.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'
import type { ArtifactRow } from '../artifact.ts'

export const kubernetesRows: readonly ArtifactRow[] = [
  {
    name: 'cluster-ca',
    meaning: "certificate of the cluster's authority, PEM",
    of: (_, keys) => keys.authority().certificate,
  },
  {
    name: 'cluster-ca-key',
    meaning: 'secret: its private key, PEM; for the head only',
    of: (_, keys) => keys.authority().privateKey,
  },
  {
    name: 'cluster-ca-digest',
    meaning: "`sha256:` and the digest of the authority's public key, as `kubeadm join` takes it",
    of: (_, keys) => `sha256:${keys.authority().publicKeyDigest}\n`,
  },
  {
    name: 'kubeadm-token',
    meaning: 'secret: the bootstrap token of kubeadm',
    of: (_, keys) => new Secret(`${keys.kubeadmToken().reveal()}\n`),
  },
  {
    name: 'k3s-token',
    meaning: 'secret: the server token of k3s, for the head only',
    of: (_, keys) => new Secret(`${keys.k3sToken('k3s-token').reveal()}\n`),
  },
  {
    name: 'k3s-agent-password',
    meaning: 'secret: the agent token of k3s, as the head takes it',
    of: (_, keys) => new Secret(`${keys.k3sToken('k3s-agent-token').reveal()}\n`),
  },
  {
    name: 'k3s-agent-token',
    meaning: 'secret: the same with the digest of the authority, as an agent takes it',
    of: (_, keys) => agentToken(keys),
  },
]

/** `K10<digest of the authority>::<user>:<password>`: with it an agent checks its server. */
const agentToken = (keys: NodeKeys): Secret =>
  new Secret(`K10${keys.authority().certificateDigest}::node:${keys.k3sToken('k3s-agent-token').reveal()}\n`)
