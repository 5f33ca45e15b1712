/** Docker and its containerd. */
import type { Feature } from '../../cluster/feature.ts'

/** A shell function: docker with the user's rights, or root's where they may have them without a password. */
export const DOCKER = 'd() { sudo -n docker "$@" 2>/dev/null || docker "$@" 2>/dev/null; }'

export const docker: Feature = {
  name: 'docker',
  needs: ['cgroups'],
  ranges: [{ what: "Docker's address pool", range: '172.30.0.0/16', parameter: 'address-pool' }],
  storage: {
    folders: [
      { name: 'docker', target: '/var/lib/docker', mode: 0o710 },
      { name: 'containerd', target: '/var/lib/containerd', mode: 0o711 },
    ],
    units: ['docker.service', 'containerd.service'],
  },
  probe: `${DOCKER}
if command -v docker >/dev/null; then echo "docker $(d version -f '{{.Server.Version}}')"; fi`,
}
