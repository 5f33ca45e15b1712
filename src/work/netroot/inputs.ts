/** The cluster file, the images and the state folder → what planNetroot takes. */
import { join } from 'node:path'
import { readText } from '../../boot/boot-files.ts'
import { parseCmdline } from '../../boot/cmdline-txt.ts'
import { boards } from '../../cluster/boards.ts'
import type { Node } from '../../cluster/node.ts'
import { type BootPlan, planBoot } from '../../customise/plan-boot.ts'
import { UsageError } from '../../errors.ts'
import type { NodeInput } from '../../netroot/plan.ts'
import { type ClusterKey, readClusterKey } from '../../secrets/cluster-key.ts'
import { machineId } from '../../secrets/identity.ts'
import type { NodeKeys } from '../../secrets/node-keys.ts'
import { isInitShell, SAVED_CMDLINE } from '../../systems/init-shell.ts'
import { CLUSTER_KEY_FILE, findNode, type Project } from '../project.ts'
import type { NetrootImage, NetrootImages } from './images.ts'

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
  const boot = await planCard(project, node, image, keys)
  const after = (path: string) => boot.files.find((file) => file.path === path)?.after
  const text = async (path: string) => {
    const bytes = after(path)
    return bytes === undefined || bytes === null
      ? ((await readText(image.boot, path)) ?? '')
      : new TextDecoder().decode(bytes)
  }
  const tokens = parseCmdline(await text('cmdline.txt'))
  const { privateKey, publicLine } = keys.hostKey(node.name)
  const domain = node.interfaces[0]?.domain
  return {
    node,
    image: image.input,
    boot,
    cmdline: isInitShell(tokens) ? parseCmdline(await text(SAVED_CMDLINE)) : tokens,
    config: await text('config.txt'),
    identity: {
      name: node.name,
      domain,
      machineId: machineId(key, node.name),
      hostKey: { privateKey: typeof privateKey === 'string' ? privateKey : privateKey.reveal(), publicLine },
    },
  }
}

/**
 * The address is the kernel's business from the start, so no daemon is told of
 * it. A Zero's root comes over a VLAN; its address in the cluster is another one.
 */
async function planCard(
  project: Project,
  node: Node,
  { boot }: NetrootImage,
  keys: NodeKeys,
): Promise<BootPlan> {
  const isUsb = boards[node.model].netboot === 'usb'
  const overlays = node.overlays.filter(({ name }) => isUsb || name !== 'static-network')
  const plan = await planBoot({
    cluster: project.cluster,
    node: { ...node, overlays },
    image: project.imageOf(node),
    boot,
    overlays: project.overlays,
    keys,
  })
  const further = node.interfaces.slice(1).map(({ name }) => name)
  if (further.length > 0)
    plan.warnings.push(`${node.name}: ${further.join(', ')} of a diskless node is left to the image`)
  return plan
}
