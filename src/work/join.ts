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

<<<<<<< HEAD
=======
const TOKEN = /^SWMTKN-[12]-[0-9a-z]{50}-[0-9a-z]{25}$/
/** Where the head notes which node of the swarm each node is; overlays/swarm/join-token.sh does too. */
const MEMBERS = '/var/lib/piimage/swarm-members'
const STATE =
  "sudo -n docker info -f '{{.Swarm.LocalNodeState}} {{.Swarm.NodeID}}{{range .Swarm.RemoteManagers}} {{.NodeID}}{{end}}'"

>>>>>>> e688451 (A join key is good for its own node: the head notes which node came with it)
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
    const token = await push.askToken(run, head)
    const joined: string[] = []
    const failed: string[] = []
    for (const node of nodes) {
      const problem = (await push.bringIn(run, cluster, node, head, token)) ?? null
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
<<<<<<< HEAD
    },
  )
=======
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
  let its = await askSwarm(ssh, node.name)
  if (typeof its === 'string') return `not asked: ${its}`
  const heads = await askSwarm(ssh, head.name)
  if (typeof heads === 'string') return `the head was not asked: ${heads}`
  // Made from a card of its own again, a head has another swarm, and its old workers are still in the one before.
  if (its.state !== 'active' || !its.managers.includes(heads.id)) {
    const from = node.interfaces[0]?.address?.ip ?? node.interfaces[0]?.name ?? 'eth0'
    const leave = its.state === 'inactive' ? '' : 'sudo -n docker swarm leave --force >/dev/null; '
    const answer = await ssh.run(
      node.name,
      // By the payload's own function, which keeps the token out of every argument.
      `read -r token; ${leave}printf '%s\\n' "$token" | sudo -n sh -c '. /opt/piimage/lib.sh && join_swarm "$@"' sh ${from} ${head.interfaces[0]?.address?.ip}:2377`,
      `${token}\n`,
    )
    if (answer.status !== 0) return lastWords(answer)
    its = await askSwarm(ssh, node.name)
    if (typeof its === 'string') return `not asked again: ${its}`
  }
  const settled = await ssh.run(head.name, settleCommand(cluster, node, its.id))
  return settled.status === 0 ? undefined : `it is in, without its labels: ${lastWords(settled)}`
}

interface SwarmState {
  state: string
  /** Of the node, in its swarm; '' in none. */
  id: string
  /** IDs of the managers it knows. */
  managers: string[]
}

/** @returns or why it does not say */
async function askSwarm(ssh: NodeSsh, name: string): Promise<SwarmState | string> {
  const answer = await ssh.run(name, STATE)
  if (answer.status !== 0) return lastWords(answer)
  const [state = '', ...ids] = answer.stdout.trim().split(' ')
  // An ID becomes part of a command on the head, and a node says it.
  const [id = '', ...managers] = ids.filter((word) => /^[a-z0-9]+$/.test(word))
  return { state, id, managers }
}

/**
 * Labels and role, set on the head once it sees this node ready: this one, and
 * not another of its name. Dead ones of its name are forgotten.
 */
function settleCommand({ nodes }: Cluster, { name, model, manager, labels }: Node, id: string): string {
  if (!nodes.some((node) => node.name === name)) throw new Error(`${name} is no node`)
  const known = boards[model].cpu === 'armv6' ? { arch: 'armv6' } : {}
  const pairs = Object.entries({ ...known, ...labels }).map(([key, value]) => `--label-add '${key}=${value}'`)
  const update = pairs.length === 0 ? '' : `sudo -n docker node update ${pairs.join(' ')} ${id} >/dev/null;`
  const promote = manager ? `sudo -n docker node promote ${id} >/dev/null;` : ''
  return `set -e; n=0; while :; do
seen=$(sudo -n docker node ls --format '{{.ID}} {{.Hostname}} {{.Status}}')
printf '%s\\n' "$seen" | grep -qx '${id} ${name} Ready' && break; n=$((n + 1)); [ $n -lt 30 ] || { echo 'the head does not see it' >&2; exit 1; }; sleep 1; done
sudo -n sh -c 'mkdir -p ${MEMBERS} && echo ${id} >${MEMBERS}/${name}'
printf '%s\\n' "$seen" | awk '$2 == "${name}" && $3 == "Down" { print $1 }' | while read -r twin; do sudo -n docker node rm --force "$twin" >/dev/null; done
${update} ${promote}`
>>>>>>> e688451 (A join key is good for its own node: the head notes which node came with it)
}
