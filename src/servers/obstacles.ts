/**
 * Why a machine can't serve, found before anything is written: pure, one
 * sentence and one next step each.
 *
 * Not here: another DHCP server on the wire (`netroot verify` asks for one).
 */
import { NetrootError } from '../errors.ts'
import type { ServedCluster } from '../netroot/served.ts'
import { formatBytes, MiB } from '../units.ts'
import { hasDns, isEthernetNode } from './dnsmasq.ts'
import { ROUTER_FILE } from './dnsmasq-settings.ts'
import type { Listener, Machine, RunningMachine } from './machine.ts'

export interface Obstacle {
  message: string
  hint: string
}

/** Settings, reservations and a week of logs. */
const LEAST_FREE_BYTES = 16 * MiB

/** @throws {NetrootError} all obstacles, one line each */
export function checkServable(served: ServedCluster, machine: Machine): void {
  const obstacles = listObstacles(served, machine)
  if (obstacles.length > 0)
    throw new NetrootError(
      obstacles.map(({ message }) => message),
      { hint: obstacles.map(({ hint }) => hint) },
    )
}

export function listObstacles(served: ServedCluster, machine: Machine): Obstacle[] {
  const boots = served.nodes.some(isEthernetNode)
  return [
    ...(boots ? foreignSettings(machine) : []),
    ...(machine.running === undefined ? [] : networkObstacles(served, machine.running, boots)),
    ...(machine.running === undefined ? [] : portObstacles(served, machine, machine.running, boots)),
    ...(machine.running === undefined ? [] : resourceObstacles(served, machine.running)),
  ]
}

/**
 * One dnsmasq reads all files, so settings for another purpose would hold for
 * the cluster as well, and ours for that purpose. The router's are made to fit.
 */
function foreignSettings({ dnsmasq }: Machine): Obstacle[] {
  return dnsmasq
    .filter(({ file }) => file !== ROUTER_FILE)
    .flatMap(({ file, settings }) => {
      const foreign = settings.find(({ key }) => key !== 'except-interface')
      if (foreign === undefined) return []
      const { line, key, value } = foreign
      return {
        message: `${file}:${line} gives dnsmasq on this machine another job (${value === '' ? key : `${key}=${value}`}), and one dnsmasq cannot keep the two apart`,
        hint: `Move ${file} away, or serve from another machine.`,
      }
    })
}

function networkObstacles(
  { server, network }: ServedCluster,
  { interfaces, uplinks }: RunningMachine,
  boots: boolean,
): Obstacle[] {
  const face = interfaces.find(({ name }) => name === server.interface)
  const wanted = `${server.ip}/${server.prefix}`
  if (face === undefined)
    return [
      {
        message: `this machine has no interface ${server.interface}`,
        hint: `It has ${interfaces.map(({ name }) => name).join(', ')}; the server's first interface in the cluster file faces the cluster.`,
      },
    ]
  const obstacles: Obstacle[] = []
  const address = face.addresses.find(({ ip }) => ip === server.ip)
  if (address === undefined)
    obstacles.push({
      message: `${server.interface} does not have the server's address ${server.ip} (${face.addresses.map(({ ip, prefix }) => `${ip}/${prefix}`).join(', ') || 'it has none'})`,
      hint: `Give it that address; with NetworkManager: nmcli connection modify NAME ipv4.method manual ipv4.addresses ${wanted}`,
    })
  else if (address.prefix !== server.prefix)
    obstacles.push({
      message: `${server.interface} has ${server.ip}/${address.prefix}, so ${address.prefix === 32 ? 'it reaches no node' : `its network is not the cluster's`}`,
      hint: `Give the address with its prefix, ${wanted}; with NetworkManager: nmcli connection modify NAME ipv4.addresses ${wanted}`,
    })
  if (boots && uplinks.includes(server.interface) && network.dhcp !== 'proxy')
    obstacles.push({
      message: `${server.interface} is this machine's way out, so its network has a DHCP server already`,
      hint: 'Put the nodes on an interface of their own, or set network: { dhcp: proxy } in the cluster file.',
    })
  return obstacles
}

function portObstacles(
  served: ServedCluster,
  machine: Machine,
  { listeners }: RunningMachine,
  boots: boolean,
): Obstacle[] {
  const { server } = served
  const isHere = ({ address, interface: scope }: Listener): boolean =>
    (scope === undefined || scope === server.interface) &&
    ['*', '0.0.0.0', '[::]', server.ip].includes(address)
  // The kernel's own NFS server is no program, and may stay.
  const others = listeners.filter(
    (listener) =>
      !listener.isOurs && isHere(listener) && !(listener.port === 2049 && listener.program === undefined),
  )
  const taken = (protocol: string, port: number, what: string): Obstacle[] =>
    others
      .filter((listener) => listener.protocol === protocol && listener.port === port)
      .slice(0, 1)
      .map(({ program = 'another program' }) => ({
        message: `${program} has ${protocol} port ${port} of ${server.ip}, which ${what}`,
        hint: `Stop it (ss -lnp 'sport = :${port}' shows it), or serve from another machine.`,
      }))
  return [
    ...(boots ? taken('udp', 67, 'dnsmasq needs for DHCP') : []),
    ...(boots ? taken('udp', 69, 'dnsmasq needs for TFTP') : []),
    ...(boots && hasDns(machine) ? taken('udp', 53, 'dnsmasq needs for DNS') : []),
    // The kernel's own NFS server has no program.
    ...taken('tcp', 2049, 'the NFS server needs'),
  ]
}

function resourceObstacles(
  { stateFolder }: ServedCluster,
  { nfsServer, freeBytes }: RunningMachine,
): Obstacle[] {
  return [
    ...(nfsServer
      ? []
      : [
          {
            message: 'the kernel of this machine has no NFS server (nfsd)',
            hint: 'Serve from a machine with a stock kernel of Raspberry Pi OS or Debian.',
          },
        ]),
    ...(freeBytes < LEAST_FREE_BYTES
      ? [
          {
            message: `${formatBytes(freeBytes)} are free at ${stateFolder}`,
            hint: 'Make room: piimage netroot prune takes away what no node boots.',
          },
        ]
      : []),
  ]
}
