/** `status`: asks every node over ssh how far it is: first boot, Docker, cluster. */
import { mapAtOnce } from '../at-once.ts'
import { joinFeature } from '../features/index.ts'
import type { Caller } from './caller.ts'
import type { NodeStatus } from './events.ts'
import { openNodeSsh, type SshOptions } from './node-ssh.ts'
import { type Asked, askNode } from './node-status.ts'
import { chooseNodes, openProject } from './project.ts'
import type { ClusterRequest } from './request.ts'

export interface StatusRequest extends ClusterRequest, SshOptions {
  /** Default: all. */
  nodes?: readonly string[]
}

/** At once, so that a large cluster neither takes an hour nor opens a hundred connections through its head. */
const AT_ONCE = 8

export async function status(request: StatusRequest, caller: Caller): Promise<NodeStatus[]> {
  const project = await openProject(request, caller)
  const nodes = chooseNodes(project.cluster, request.nodes)
  const ssh = await openNodeSsh(project.cluster, await project.keys(), request, caller)
  try {
    const { kind, head } = project.cluster.join
    const whyStray = joinFeature(kind)?.join?.whyStray
    const asked = await mapAtOnce(nodes, AT_ONCE, ({ name }) => askNode(ssh, name))
    const ofHead = async (name: string): Promise<Asked> =>
      asked.find(({ status }) => status.node === name) ?? (await askNode(ssh, name))
    const heads = whyStray && head !== undefined ? await ofHead(head) : undefined
    const statuses = asked.map(({ status, said }): NodeStatus => {
      if (!heads?.status.reached || status.node === heads.status.node) return status
      return { ...status, stray: whyStray?.(said, heads.said, heads.status.node) }
    })
    for (const one of statuses) caller.onEvent({ event: 'node', ...one })
    return statuses
  } finally {
    await ssh.close()
  }
}
