/**
 * `join`: bring nodes into the swarm from outside, over ssh.
 *
 * For clusters with `join: { by: ssh-push }`, and for a card that was made again
 * after the swarm was complete. The token goes from the head to the node through
 * this program's memory and the two connections; it is on no command line, here
 * or there.
 */
import { boards } from '../cluster/boards.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { PartialError, UsageError } from '../errors.ts'
import type { Caller } from './caller.ts'
import { lastWords, type NodeSsh, openNodeSsh, type SshOptions } from './node-ssh.ts'
import { chooseNodes, findNode, openProject } from './project.ts'
import type { ClusterRequest } from './request.ts'

export interface JoinRequest extends ClusterRequest, SshOptions {
  /** Default: all but the head. */
  nodes?: readonly string[]
}

const TOKEN = /^SWMTKN-[12]-[0-9a-z]{50}-[0-9a-z]{25}$/
const STATE = "sudo -n docker info -f '{{.Swarm.LocalNodeState}}'"

/** @throws {PartialError} some did not join; the others are in */
export async function joinSwarm(request: JoinRequest, caller: Caller): Promise<{ joined: string[] }> {
  const project = await openProject(request, caller)
  const { cluster } = project
  const head = headOf(cluster)
  const nodes = chooseNodes(cluster, request.nodes).filter((node) => node !== head)
  const ssh = await openNodeSsh(cluster, await project.keys(), request, caller)
  try {
    const token = await askToken(ssh, head)
    const joined: string[] = []
    const failed: string[] = []
    for (const node of nodes) {
      const problem = (await bringIn(ssh, cluster, node, head, token)) ?? null
      caller.onEvent({ event: 'join', node: node.name, joined: problem === null, problem })
      ;(problem === null ? joined : failed).push(node.name)
    }
    // What was shown to a node a moment ago is good for nobody after it.
    await ssh.run(head.name, 'sudo -n docker swarm join-token --rotate -q worker >/dev/null')
    if (failed.length > 0)
      throw new PartialError(`${failed.length} of ${nodes.length} nodes did not join: ${failed.join(', ')}`, {
        hint: 'piimage status shows how far each is. Run again: nodes that are in stay in.',
      })
    return { joined }
  } finally {
    await ssh.close()
  }
}

/** @throws {UsageError} this cluster is no swarm */
function headOf(cluster: Cluster): Node {
  const { kind, head } = cluster.join
  if (kind !== 'swarm' || head === undefined)
    throw new UsageError(`${cluster.file}: join.kind is ${kind}, and piimage join is for a swarm`, {
      hint:
        kind === 'none'
          ? 'Say join: { kind: swarm, head: NODE, by: ssh-push }.'
          : `Nodes of ${kind} join by themselves.`,
    })
  return findNode(cluster, head)
}

async function askToken(ssh: NodeSsh, head: Node): Promise<string> {
  const answer = await ssh.run(head.name, 'sudo -n docker swarm join-token -q worker')
  const token = answer.stdout.trim()
  if (answer.status === 0 && TOKEN.test(token)) return token
  throw new UsageError(`the head ${head.name} gives no token: ${lastWords(answer)}`, {
    hint: 'It makes the swarm at its first boot: piimage status shows how far it is.',
  })
}

/** @returns why the node is not in, or undefined */
async function bringIn(
  ssh: NodeSsh,
  cluster: Cluster,
  node: Node,
  head: Node,
  token: string,
): Promise<string | undefined> {
  const state = await ssh.run(node.name, STATE)
  if (state.status !== 0) return `not asked: ${lastWords(state)}`
  if (state.stdout.trim() !== 'active') {
    const from = node.interfaces[0]?.address?.ip ?? node.interfaces[0]?.name ?? 'eth0'
    const leave = state.stdout.trim() === 'inactive' ? '' : 'sudo -n docker swarm leave --force >/dev/null; '
    const answer = await ssh.run(
      node.name,
      // By the payload's own function, which keeps the token out of every argument.
      `read -r token; ${leave}printf '%s\\n' "$token" | sudo -n sh -c '. /opt/piimage/lib.sh && join_swarm "$@"' sh ${from} ${head.interfaces[0]?.address?.ip}:2377`,
      `${token}\n`,
    )
    if (answer.status !== 0) return lastWords(answer)
  }
  const settled = await ssh.run(head.name, settleCommand(cluster, node))
  return settled.status === 0 ? undefined : `it is in, without its labels: ${lastWords(settled)}`
}

/** Labels and role, set on the head once it sees the node ready. */
function settleCommand({ nodes }: Cluster, { name, model, manager, labels }: Node): string {
  if (!nodes.some((node) => node.name === name)) throw new Error(`${name} is no node`)
  const known = boards[model].cpu === 'armv6' ? { arch: 'armv6' } : {}
  const pairs = Object.entries({ ...known, ...labels }).map(([key, value]) => `--label-add '${key}=${value}'`)
  const update = pairs.length === 0 ? '' : `sudo -n docker node update ${pairs.join(' ')} "$id" >/dev/null;`
  const promote = manager ? 'sudo -n docker node promote "$id" >/dev/null;' : ''
  return `set -e; n=0; while :; do
id=$(sudo -n docker node ls --format '{{.ID}} {{.Hostname}} {{.Status}}' | awk '$2 == "${name}" && $3 == "Ready" { print $1; exit }')
[ -z "$id" ] || break; n=$((n + 1)); [ $n -lt 30 ] || { echo 'the head does not see it' >&2; exit 1; }; sleep 1; done; ${update} ${promote}`
}
