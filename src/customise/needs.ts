/** What an overlay can need of a node and its image, and which of it they have. */
import { boards, modelsWith } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'
import type { Subject } from './values.ts'

export type Need = 'arm64' | 'cloud-init' | 'user' | 'wifi' | 'address' | 'usb-device-port' | 'kernel-6'

const withDevicePort = modelsWith(({ devicePort }) => devicePort)

/** @throws {UsageError} the first that is not met */
export function checkNeeds(needs: readonly Need[], overlay: string, { node, os, image }: Subject): void {
  const met: Record<Need, boolean> = {
    arm64: image.arch === 'arm64',
    'cloud-init': os.traits.cloudInit,
    user: node.user !== undefined,
    wifi: node.wifi !== undefined,
    address: node.interfaces.some(({ address }) => address !== undefined),
    'usb-device-port': boards[node.model].devicePort && node.clusterHat === undefined,
    'kernel-6': os.traits.kernel >= 6,
  }
  const hints: Record<Need, string> = {
    arm64: 'Use a 64-bit image (arm64) for this node.',
    'cloud-init': 'Raspberry Pi OS Trixie and HypriotOS have it; on others, say it with other overlays.',
    user: 'Give the cluster file a user:.',
    wifi: 'Give the node or the cluster a wifi:.',
    address: 'Give the node an address:.',
    'usb-device-port': `Of the boards, ${withDevicePort.join(', ')} have one; a ClusterCTRL image sets its own up.`,
    'kernel-6': 'Raspberry Pi OS has Linux 6 since Bookworm; HypriotOS ended with Linux 4.',
  }
  for (const need of needs) {
    if (met[need]) continue
    throw new UsageError(`node ${node.name} cannot have the overlay ${overlay}: it needs ${need}`, {
      hint: hints[need],
    })
  }
}
