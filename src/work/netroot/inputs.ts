/** The cluster file, the images and the state folder → what planNetroot takes. */
import { join } from 'node:path'
import { boards } from '../../cluster/boards.ts'
import type { Node } from '../../cluster/node.ts'
import { planServed } from '../../customise/plan-served.ts'
import { UsageError } from '../../errors.ts'
import type { NodeInput } from '../../netroot/plan.ts'
import { CLUSTER_KEY_FILE, type ClusterKey, readClusterKey } from '../../secrets/cluster-key.ts'
import { machineId } from '../../secrets/identity.ts'
import { findNode, type Project } from '../project.ts'
import type { NetrootImages } from './images.ts'

/** @throws {UsageError} no node boots from the network, or one that is named doesn't */
export function chooseNodes({ cluster }: Project, names: readonly string[] | undefined): Node[] {
  const nodes =
    names?.map((name) => findNode(cluster, name)) ?? cluster.nodes.filter(({ boot }) => boot === 'net')
  const card = nodes.find(({ boot }) => boot !== 'net')
  if (card !== undefined)
    throw new UsageError(`${card.name} boots from a card`, { hint: `Give it boot: net in ${cluster.file}` })
  if (nodes.length === 0)
    throw new UsageError(`no node of ${cluster.file} boots from the network`, {
      hint: 'Give those that shall boot: net',
    })
  return nodes
}

export const clusterKey = ({ cluster }: Project): Promise<ClusterKey> =>
  readClusterKey(join(cluster.folder, CLUSTER_KEY_FILE))

export async function nodeInput(
  project: Project,
  node: Node,
  images: NetrootImages,
  key: ClusterKey,
): Promise<NodeInput> {
  const image = await images.open(project.imageOf(node))
  const keys = await project.keys()
  const { privateKey, publicLine } = keys.hostKey(node.name)
  const [first] = node.interfaces
  const system = await planServed(
    {
      cluster: project.cluster,
      node,
      image: project.imageOf(node),
      boot: image.boot,
      root: image.root,
      overlays: project.overlays,
      keys,
    },
    // A Zero's root comes over a VLAN; its address in the cluster is another one.
    boards[node.model].netboot === 'usb' ? undefined : first?.name,
  )
  return {
    node,
    image: image.input,
    system,
    identity: {
      name: node.name,
      domain: first?.domain,
      machineId: machineId(key, node.name),
      hostKey: { privateKey: privateKey.reveal(), publicLine },
    },
  }
}
