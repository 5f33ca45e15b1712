/**
 * `join`: bring nodes into their cluster from outside, over ssh, as its kind has it (src/features/).
 */
import type { PushJoin, RunOnNode } from '../cluster/feature.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { PartialError, UsageError } from '../errors.ts'
import { features, joinFeature } from '../features/index.ts'
import type { Caller } from './caller.ts'
import { lastWords, openNodeSsh, type SshOptions } from './node-ssh.ts'
import { chooseNodes, findNode, openProject } from './project.ts'
import type { ClusterRequest } from './request.ts'

export interface JoinRequest extends ClusterRequest, SshOptions {
  /** Default: all but the head. */
  nodes?: readonly string[]
}

/** @throws {PartialError} some did not join; the others are in */
export async function joinNodes(request: JoinRequest, caller: Caller): Promise<{ joined: string[] }> {
  const project = await openProject(request, caller)
  const { cluster } = project
  const { head, push } = pushOf(cluster)
  const nodes = chooseNodes(cluster, request.nodes).filter((node) => node !== head)
  const ssh = await openNodeSsh(cluster, await project.keys(), request, caller)
  try {
    const run: RunOnNode = async (node, command, input) => {
      const answer = await ssh.run(node, command, input)
      return { ...answer, reason: lastWords(answer) }
    }
    const strays = await push.findStrays(run, nodes, head)
    if (strays.size > 0 && !(await leaveIsAgreed(strays, head, caller)))
      throw new UsageError(
        `not agreed to: ${[...strays.keys()].map(({ name }) => name).join(', ')} would leave the ${cluster.join.kind} that they are in`,
        { hint: 'Name the nodes to bring in with --node, or say yes with --yes.' },
      )
    const token = await push.askToken(run, head)
    const joined: string[] = []
    const failed: string[] = []
    for (const node of nodes) {
      const problem = (await push.bringIn(run, cluster, node, head, token, strays.has(node))) ?? null
      caller.onEvent({
        event: 'join',
        node: node.name,
        kind: cluster.join.kind,
        joined: problem === null,
        problem,
      })
      ;(problem === null ? joined : failed).push(node.name)
    }
    // What was shown to a node a moment ago is good for nobody after it.
    await push.forgetToken(run, head)
    if (failed.length > 0)
      throw new PartialError(`${failed.length} of ${nodes.length} nodes did not join: ${failed.join(', ')}`, {
        hint: 'piimage status shows how far each is. Run again: nodes that are in stay in.',
      })
    return { joined }
  } finally {
    await ssh.close()
  }
}

/** A manager of the other one takes its part of that one's records along: told, and asked. */
function leaveIsAgreed(
  strays: ReadonlyMap<Node, string>,
  head: Node,
  { onEvent, confirm }: Caller,
): Promise<boolean> {
  for (const [{ name }, why] of strays) onEvent({ event: 'warning', node: name, message: why })
  return confirm({ about: 'leave', nodes: [...strays.keys()].map(({ name }) => name), head: head.name })
}

/** @throws {UsageError} the nodes of this cluster join by themselves, or form none */
function pushOf(cluster: Cluster): { head: Node; push: PushJoin } {
  const { kind, head } = cluster.join
  const push = joinFeature(kind)?.join?.push
  if (push !== undefined && head !== undefined) return { head: findNode(cluster, head), push }
  const kinds = features.filter(({ join }) => join?.push !== undefined).map(({ name }) => name)
  throw new UsageError(
    `${cluster.file}: join.kind is ${kind}, and piimage join is for a ${kinds.join(' or ')}`,
    {
      hint:
        kind === 'none'
          ? `Say join: { kind: ${kinds[0]}, head: NODE, by: ssh-push }.`
          : `Nodes of ${kind} join by themselves.`,
    },
  )
}
