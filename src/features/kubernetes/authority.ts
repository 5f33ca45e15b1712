/**
 * What every kind of Kubernetes shares before its nodes meet: an authority by
 * which a worker knows the head. Its private key is the head's alone.
 */
import type { ArtifactRow } from '../../cluster/feature.ts'
import { type CertificateAuthority, makeCertificateAuthority } from '../../secrets/certificate-authority.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'
import { p256SeedBytes } from '../../secrets/p256.ts'

const KEY = 'ca-key'

export const authorityPurposes = { [KEY]: 'cluster: private key of the certificate authority' }

/** Under the name that kubeadm gives its own. */
export const clusterAuthority = (keys: NodeKeys): CertificateAuthority =>
  makeCertificateAuthority(keys.derive(KEY, '', p256SeedBytes), 'kubernetes')

export const authorityArtifacts: readonly ArtifactRow[] = [
  {
    name: 'cluster-ca',
    meaning: "certificate of the cluster's authority, PEM",
    of: (_, keys) => clusterAuthority(keys).certificate,
  },
  {
    name: 'cluster-ca-key',
    meaning: 'secret: its private key, PEM; for the head only',
    headOnly: true,
    of: (_, keys) => clusterAuthority(keys).privateKey,
  },
]
