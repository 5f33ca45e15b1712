/** Kubernetes as kubeadm makes it. */
import type { Feature } from '../../cluster/feature.ts'
import { Secret } from '../../secret.ts'
import { lettersFrom } from '../../secrets/letters.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'
import { authorityArtifacts, authorityPurposes, clusterAuthority } from '../kubernetes/authority.ts'

const TOKEN = 'kubeadm-token'

/** The bootstrap token: `[a-z0-9]{6}.[a-z0-9]{16}`. */
export function kubeadmToken(keys: NodeKeys): Secret {
  const text = lettersFrom(
    (length) => keys.derive(TOKEN, '', length),
    'abcdefghijklmnopqrstuvwxyz0123456789',
    22,
  )
  return new Secret(`${text.slice(0, 6)}.${text.slice(6)}`)
}

export const kubeadm: Feature = {
  name: 'kubeadm',
  needs: ['cgroups'],
  personal: true,
  ranges: [
    { what: 'the pod network', range: '10.244.0.0/16', parameter: 'pod-network' },
    { what: 'the service network', range: '10.96.0.0/12' },
  ],
  purposes: { ...authorityPurposes, [TOKEN]: 'cluster: bootstrap token' },
  artifacts: [
    ...authorityArtifacts,
    {
      name: 'cluster-ca-digest',
      meaning: "`sha256:` and the digest of the authority's public key, as `kubeadm join` takes it",
      of: (_, keys) => `sha256:${clusterAuthority(keys).publicKeyDigest}\n`,
    },
    {
      name: 'kubeadm-token',
      meaning: 'secret: the bootstrap token of kubeadm',
      of: (_, keys) => new Secret(`${kubeadmToken(keys).reveal()}\n`),
    },
  ],
  storage: {
    folders: [],
    // What makes it a node of the cluster: the token it joined with is not good for a second time.
    own: [
      { name: 'kubernetes', target: '/etc/kubernetes', mode: 0o755 },
      { name: 'kubelet', target: '/var/lib/kubelet', mode: 0o750 },
      { name: 'cni', target: '/etc/cni', mode: 0o755 },
    ],
    units: ['kubelet.service'],
  },
  secretForms: [{ name: 'a kubeadm token', form: /\btoken["']?\s*[:=]\s*["']?[a-z0-9]{6}\.[a-z0-9]{16}\b/ }],
  probe: `if [ -e /etc/kubernetes/kubelet.conf ]; then echo 'kubeadm joined'; fi`,
  join: {
    kubeconfig: '/etc/kubernetes/admin.conf',
    refuse({ title, cpu }, arch) {
      if (cpu !== 'armv8')
        return {
          about: 'model',
          problem: `is a ${title} (${cpu}): kubeadm does not run on it`,
          hint: 'Kubernetes left 32-bit ARM with 1.27; k3s runs on ARMv7',
        }
      if (arch === 'armhf')
        return {
          about: 'image',
          problem: 'has a 32-bit image: Kubernetes left 32-bit ARM with 1.27',
          hint: 'give it an arm64 image, or join: { kind: k3s }',
        }
      return undefined
    },
  },
}
