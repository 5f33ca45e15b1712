/** Features that are about one node's own system: their overlays say all the rest. */
import type { Feature } from '../cluster/feature.ts'

export const systemFeatures: readonly Feature[] = [
  { name: 'hostname', implied: () => true, mandatory: true },
  { name: 'user', implied: (node) => node.user, personal: true },
  { name: 'ssh' },
  { name: 'locale', implied: (node) => node.locale },
  { name: 'static-network', implied: (node) => node.staticAddress },
  { name: 'wifi', implied: (node) => node.wifi, personal: true },
  { name: 'gpu-mem' },
  { name: 'usb-gadget', isNetwork: true },
  { name: 'cgroups' },
]
