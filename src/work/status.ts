/** `status`: asks every node over ssh how far it is: first boot, Docker, cluster. */
import { mapAtOnce } from '../at-once.ts'
import type { Caller } from './caller.ts'
import type { NodeStatus } from './events.ts'
import { openNodeSsh, type SshOptions } from './node-ssh.ts'
import { askNode } from './node-status.ts'
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
    const statuses = await mapAtOnce(nodes, AT_ONCE, ({ name }) => askNode(ssh, name))
    for (const one of statuses) caller.onEvent({ event: 'node', ...one })
    return statuses
  } finally {
    await ssh.close()
  }
}
