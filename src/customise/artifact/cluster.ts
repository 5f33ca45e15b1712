/** What a node's services need to know about the other nodes, and passwords of services. */
import { Secret } from '../../secret.ts'
import type { ArtifactRow } from '../artifact.ts'
import { formatRouterDnsmasq } from './router-dnsmasq.ts'

export const clusterRows: readonly ArtifactRow[] = [
  {
    name: 'router-dnsmasq',
    meaning: "dnsmasq's settings on the router: reservations by MAC, names of the nodes",
    of: ({ node, cluster }) => formatRouterDnsmasq(node, cluster),
  },
  {
    name: 'portainer-password',
    meaning: "secret: first password of Portainer's user admin",
    // Portainer takes the file as it is: a line end would belong to the password.
    of: (_, keys) => new Secret(keys.portainerPassword().reveal()),
  },
]
