/** A cluster as its servers see it: three Pis of three kinds on 10.3.50.0/24. */
import { dirname } from 'node:path'
import type { ImageMount, OverlayMount, ServedCluster, ServedNode } from '../../src/netroot/served.ts'

export const STATE = '/srv/piimage'

export const overlayOf = (name: string, state = STATE): OverlayMount => ({
  lower: `${state}/generations/g1/root`,
  upper: `${state}/nodes/${name}/own/upper`,
  work: `${state}/nodes/${name}/own/work`,
  merged: `${state}/nodes/${name}/root`,
})

const imageAt = (folder: string, writable = true): ImageMount => ({
  image: `${folder}.ext4`,
  folder,
  writable,
})

/** What an overlay lies on. */
const imagesUnder = ({ lower, upper }: OverlayMount): ImageMount[] => [
  imageAt(lower, false),
  imageAt(dirname(upper)),
]

/** Node `number` with its own root and volume; the address ends in 10 + number. */
export function servedNode(number: number, change: Partial<ServedNode> = {}, state = STATE): ServedNode {
  const name = `node0${number}`
  const ip = `10.3.50.${10 + number}`
  const overlays = [
    ...(change.overlay === undefined ? [] : [change.overlay]),
    ...(change.earlierOverlays ?? []),
  ]
  const root = change.overlay === undefined ? [imageAt(`${state}/nodes/${name}/root`)] : []
  return {
    name,
    model: 'pi4',
    ip,
    mac: `dc:a6:32:00:00:0${number}`,
    serial: `1000000${number}`,
    generation: 'g1',
    edition: 'g1-0',
    bootFolder: `${state}/nodes/${name}/boot`,
    rootFolder: `${state}/nodes/${name}/root`,
    rootMode: 'copy',
    volumeFolder: `${state}/nodes/${name}/volume`,
    exports: [
      { folder: `${state}/nodes/${name}/root`, client: ip, writable: true, fsid: `10${number}` },
      { folder: `${state}/nodes/${name}/volume`, client: ip, writable: true, fsid: `20${number}` },
    ],
    images: [...root, ...overlays.flatMap(imagesUnder), imageAt(`${state}/nodes/${name}/volume`)],
    tftpNames: [`1000000${number}`],
    ...change,
  }
}

export function servedCluster(change: Partial<ServedCluster> = {}): ServedCluster {
  return {
    cluster: 'lab',
    stateFolder: STATE,
    tftpRoot: `${STATE}/tftp`,
    server: { ip: '10.3.50.1', prefix: 24, interface: 'eth0' },
    network: { cidr: '10.3.50.0/24', dns: [] },
    nodes: [servedNode(1), servedNode(2, { model: 'pi3b' }), servedNode(3, { model: 'pi5' })],
    ...change,
  }
}
