/** The head as the cluster's way out: NAT, and dnsmasq for addresses and names. */
import type { Feature } from '../../cluster/feature.ts'
import { formatRouterDnsmasq } from './dnsmasq.ts'

export const router: Feature = {
  name: 'router',
  implied: (node) => node.router,
  artifacts: [
    {
      name: 'router-dnsmasq',
      meaning: "dnsmasq's settings on the router: reservations by MAC, names of the nodes",
      of: ({ node, cluster }) => formatRouterDnsmasq(node, cluster),
    },
  ],
}
