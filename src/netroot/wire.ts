/**
 * Over which wire a node boots, and who is at each end of it.
 *
 * Most boards: their first interface, in the cluster's network. A Zero in slot N
 * of a ClusterHAT: USB, and on it the VLAN 10 that ClusterCTRL keeps for roots.
 * The initramfs of its images builds the USB device, and takes N from the host
 * name in `ip=`, which therefore is pN; the node's own name is in its root.
 *
 * Source: burtyb/clusterhat-image, `nfs-top/00_clusterctrl`.
 */
import { boards } from '../cluster/boards.ts'
import type { Node } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import type { ServedCluster } from './served.ts'

export interface Wire {
  device: string
  ip: string
  prefix: number
  gateway?: string
  serverIp: string
  /** Host name while it boots. */
  bootName: string
  /** Of a ClusterHAT, when it boots over USB. */
  slot?: number
}

/** ClusterCTRL's private network for Zeros that boot over USB. */
export const USB = { device: 'usb0.10', network: '172.19.180', prefix: 24, controller: 254 } as const

/** @throws {UsageError} a board that no wire leads to */
export function wireOf(node: Node, server: ServedCluster['server']): Wire {
  if (boards[node.model].netboot === 'usb') return usbWire(node)
  const [first] = node.interfaces
  if (first?.address === undefined)
    throw new UsageError(`${node.name} has no fixed address`, {
      hint: 'Its root is exported to one address: give it address: 10.3.50.11/24',
    })
  const { ip, prefix, gateway } = first.address
  return { device: first.name, ip, prefix, gateway, serverIp: server.ip, bootName: node.name }
}

function usbWire({ name, clusterHat }: Node): Wire {
  if (clusterHat?.role !== 'slot')
    throw new UsageError(`${name} has no Ethernet and is in no slot of a ClusterHAT`, {
      hint: 'Give it clusterhat: p1, or boot: card',
    })
  const { device, network, prefix, controller } = USB
  const { slot } = clusterHat
  return {
    device,
    ip: `${network}.${slot}`,
    prefix,
    serverIp: `${network}.${controller}`,
    bootName: `p${slot}`,
    slot,
  }
}
