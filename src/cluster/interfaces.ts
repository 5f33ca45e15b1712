/**
 * A node's network interfaces, worked out from what was said and what follows.
 *
 * - The first faces the cluster: `interface:`, else the router's `lan`, else what
 *   its place in a ClusterHAT or its model has (`usb0`, `br0`, `wlan0`, `eth0`).
 * - A Zero in slot N of a ClusterHAT has 172.19.181.N, its CNAT controller .254,
 *   unless an address is given. Behind a CBRIDGE controller the Zeros ask the
 *   network's own DHCP server.
 * - No gateway or name server of its own is sent to itself.
 *
 * Source of the ClusterHAT addresses: ClusterCTRL's reconfig-clusterctrl.
 */

import { boards } from './boards.ts'
import type { InterfaceSettings, NetworkSettings } from './file-shape.ts'
import { contains, formatIpv4, networkOf, parseIpv4, parseIpv4WithPrefix } from './ipv4.ts'
import { type Layer, pick, type Said } from './layers.ts'
import type { ClusterHat } from './node.ts'
import type { Path } from './yaml-source.ts'

export const clusterHatPrefix = 24
export const clusterHatController = '172.19.181.254'
const clusterHatAddress = (slot: number): string => `172.19.181.${slot}`

export interface InterfaceDraft {
  name: string
  address?: { value: number; prefix: number }
  gateway?: Said<string>
  dns: string[]
  domain?: string
  /** Where its address was said or follows from. */
  path: Path
}

/** The first one faces the cluster. */
export type Interfaces = InterfaceDraft[]

interface Base {
  path: Path
  layers: readonly Layer[]
  hat: ClusterHat | undefined
}

export function planInterfaces(
  node: Base,
  network: NetworkSettings | undefined,
  controllerBridges: boolean,
): Interfaces {
  const first = planFirst(node, network, controllerBridges)
  const interfaces = [first]
  const further = pick(node, 'interfaces')
  for (const [name, settings] of Object.entries(further?.value ?? {}))
    if (name !== first.name)
      interfaces.push(planFurther(name, settings ?? {}, [...(further?.path ?? []), name]))

  const add = (name: string | undefined, path: Path): void => {
    if (name !== undefined && !interfaces.some((one) => one.name === name))
      interfaces.push({ name, dns: [], path })
  }
  const router = pick(node, 'router')
  add(router?.value?.uplink, [...node.path, 'router', 'uplink'])
  const model = modelOf(node)
  // ClusterCTRL's CNAT image asks for an address on Ethernet and bridges the Zeros on br0.
  if (node.hat?.role === 'cnat' && model?.ethernet && router === undefined)
    add('eth0', [...node.path, 'clusterhat'])
  const wifi = pick(node, 'wifi')
  if (wifi !== undefined && wifi.value !== false && model?.wifi) add('wlan0', wifi.path)
  return interfaces
}

function planFirst(
  node: Base,
  network: NetworkSettings | undefined,
  controllerBridges: boolean,
): InterfaceDraft {
  const said = pick(node, 'address')
  const path = said?.path ?? (node.hat === undefined ? node.path : [...node.path, 'clusterhat'])
  const name = nameFirst(node, network)
  let address: { value: number; prefix: number } | undefined
  let fallbackGateway: string | undefined
  if (said !== undefined) address = readAddress(said.value)
  else if (node.hat?.role === 'slot' && !controllerBridges) {
    address = readAddress(`${clusterHatAddress(node.hat.slot)}/${clusterHatPrefix}`)
    fallbackGateway = clusterHatController
  } else if (node.hat?.role === 'cnat') address = readAddress(`${clusterHatController}/${clusterHatPrefix}`)

  const own = address === undefined ? undefined : formatIpv4(address.value)
  const gateway = pick(node, 'gateway') ?? gatewayOf(network, address) ?? impliedBy(fallbackGateway, path)
  const dns = (pick(node, 'dns')?.value ?? network?.dns ?? []).filter((ip) => ip !== undefined && ip !== own)
  return {
    name,
    address,
    // With DHCP the server says which way is out; a gateway of one's own only adds to a static address.
    gateway: gateway?.value === own || address === undefined ? undefined : gateway,
    dns: dns as string[],
    domain: network?.domain,
    path,
  }
}

/** The network's gateway, for a node that is on that network. */
function gatewayOf(
  network: NetworkSettings | undefined,
  address: { value: number; prefix: number } | undefined,
): Said<string> | undefined {
  const gateway = network?.gateway === undefined ? undefined : parseIpv4(network.gateway)
  if (gateway === undefined || address === undefined) return undefined
  if (!contains(networkOf(address.value, address.prefix), gateway)) return undefined
  return { value: network?.gateway, path: ['network', 'gateway'] }
}

const impliedBy = (value: string | undefined, path: Path): Said<string> | undefined =>
  value === undefined ? undefined : { value, path }

function planFurther(name: string, settings: InterfaceSettings, path: Path): InterfaceDraft {
  const address = readAddress(settings.address)
  return {
    name,
    address,
    gateway: impliedBy(settings.gateway, [...path, 'gateway']),
    dns: (settings.dns ?? []).filter((ip) => ip !== undefined),
    domain: settings.domain,
    path: Object.hasOwn(settings, 'address') ? [...path, 'address'] : path,
  }
}

function nameFirst(node: Base, network: NetworkSettings | undefined): string {
  const said = pick(node, 'interface')?.value ?? pick(node, 'router')?.value?.lan
  if (said !== undefined) return said
  if (node.hat !== undefined) return node.hat.role === 'slot' ? 'usb0' : 'br0'
  const model = modelOf(node)
  if (model !== undefined && !model.ethernet) {
    const wifi = pick(node, 'wifi')
    return model.wifi && wifi !== undefined && wifi.value !== false ? 'wlan0' : 'usb0'
  }
  return network?.interface ?? 'eth0'
}

function modelOf(node: Base) {
  const model = pick(node, 'model')?.value
  return model === undefined ? undefined : boards[model]
}

function readAddress(text: string | undefined): { value: number; prefix: number } | undefined {
  const parsed = parseIpv4WithPrefix(text ?? '')
  return parsed === undefined ? undefined : { value: parsed.address, prefix: parsed.prefix }
}
