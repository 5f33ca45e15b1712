/**
 * Nodes brought into the swarm from outside, over ssh.
 *
 * For clusters with `join: { by: ssh-push }`, and for a card that was made again
 * after the swarm was complete. The token goes from the head to the node through
 * this program's memory and the two connections; it is on no command line, here
 * or there.
 */
import { mapAtOnce } from '../../at-once.ts'
import { boards } from '../../cluster/boards.ts'
import { type PushJoin, type RunOnNode, readSaid } from '../../cluster/feature.ts'
import type { Cluster, Node } from '../../cluster/node.ts'
import { UsageError } from '../../errors.ts'
import { DOCKER } from '../docker/feature.ts'
import { MEMBERSHIP, type Membership, readMembership, whyStray } from './membership.ts'

const TOKEN = /^SWMTKN-[12]-[0-9a-z]{50}-[0-9a-z]{25}$/
/** Where the head notes which node of the swarm each node is; overlays/swarm/join-token.sh does too. */
const MEMBERS = '/var/lib/piimage/swarm-members'
/** Nodes that are asked at once. */
const AT_ONCE = 8

export const pushJoin: PushJoin = {
  findStrays,
  askToken,
  bringIn,
  async forgetToken(run, head) {
    await run(head.name, 'sudo -n docker swarm join-token --rotate -q worker >/dev/null')
  },
}

async function findStrays(run: RunOnNode, nodes: readonly Node[], head: Node): Promise<Map<Node, string>> {
  const heads = await askSwarm(run, head.name)
  if (typeof heads === 'string') return new Map()
  const found = await mapAtOnce(nodes, AT_ONCE, async (node): Promise<[Node, string][]> => {
    const its = await askSwarm(run, node.name)
    const why = typeof its === 'string' ? undefined : whyStray(its, heads, head.name)
    return why === undefined ? [] : [[node, why]]
  })
  return new Map(found.flat())
}

async function askToken(run: RunOnNode, head: Node): Promise<string> {
  const answer = await run(head.name, 'sudo -n docker swarm join-token -q worker')
  const token = answer.stdout.trim()
  if (answer.status === 0 && TOKEN.test(token)) return token
  throw new UsageError(`the head ${head.name} gives no token: ${answer.reason}`, {
    hint: 'It makes the swarm at its first boot: piimage status shows how far it is.',
  })
}

async function bringIn(
  run: RunOnNode,
  cluster: Cluster,
  node: Node,
  head: Node,
  token: string,
  mayLeave: boolean,
): Promise<string | undefined> {
  let its = await askSwarm(run, node.name)
  if (typeof its === 'string') return `not asked: ${its}`
  const heads = await askSwarm(run, head.name)
  if (typeof heads === 'string') return `the head was not asked: ${heads}`
  const why = whyStray(its, heads, head.name)
  if (why !== undefined && !mayLeave) return why
  const was = its.id
  if (its.state !== 'active' || why !== undefined) {
    const from = node.interfaces[0]?.address?.ip ?? node.interfaces[0]?.name ?? 'eth0'
    const leave = its.state === 'inactive' ? '' : 'sudo -n docker swarm leave --force >/dev/null; '
    const answer = await run(
      node.name,
      // By the payload's own function, which keeps the token out of every argument.
      `read -r token; ${leave}printf '%s\\n' "$token" | sudo -n sh -c '. /opt/piimage/lib.sh && join_swarm "$@"' sh ${from} ${head.interfaces[0]?.address?.ip}:2377`,
      `${token}\n`,
    )
    if (answer.status !== 0) return answer.reason
    its = await askSwarm(run, node.name)
    if (typeof its === 'string') return `not asked again: ${its}`
  }
  const settled = await run(head.name, settleCommand(cluster, node, its.id, was))
  return settled.status === 0 ? undefined : `it is in, without its labels: ${settled.reason}`
}

/** @returns or why it does not say */
async function askSwarm(run: RunOnNode, name: string): Promise<Membership | string> {
  const answer = await run(name, `${DOCKER}\n${MEMBERSHIP}`)
  if (answer.status !== 0) return answer.reason
  const its = readMembership(readSaid(answer.stdout))
  return its.state === '' ? 'its Docker does not answer' : its
}

/**
 * Labels and role, set on the head once it sees this node ready: this one, and
 * not another of its name. Dead ones of its name are forgotten, and so are the one
 * that it was a moment ago and the one that was noted, which look alive until they
 * miss three heartbeats. A manager has to be demoted first. A host name is the
 * node's own word: in the form of a URL it is one word of one line.
 * @param was the node's ID before; '' or its ID now: none
 */
function settleCommand(
  { nodes }: Cluster,
  { name, model, manager, labels }: Node,
  id: string,
  was: string,
): string {
  if (!nodes.some((node) => node.name === name)) throw new Error(`${name} is not a node`)
  const known = boards[model].cpu === 'armv6' ? { arch: 'armv6' } : {}
  const pairs = Object.entries({ ...known, ...labels }).map(([key, value]) => `--label-add '${key}=${value}'`)
  const update = pairs.length === 0 ? '' : `sudo -n docker node update ${pairs.join(' ')} ${id} >/dev/null`
  const promote = manager ? `sudo -n docker node promote ${id} >/dev/null` : ''
  return `set -e; n=0; while :; do
seen=$(sudo -n docker node ls --format '{{.ID}} {{urlquery .Hostname}} {{.Status}}')
printf '%s\\n' "$seen" | grep -qx '${id} ${name} Ready' && break; n=$((n + 1)); [ $n -lt 30 ] || { echo 'the head does not see it' >&2; exit 1; }; sleep 1; done
noted=$(sudo -n cat ${MEMBERS}/${name} 2>/dev/null || :)
sudo -n sh -c 'mkdir -p ${MEMBERS} && echo ${id} >${MEMBERS}/${name}'
${update}
${promote}
printf '%s\\n' "$seen" | awk -v noted="$noted" '$1 != "${id}" && $2 == "${name}" && ($3 == "Down" || $1 == "${was}" || $1 == noted) { print $1 }' | while read -r twin; do
sudo -n docker node demote "$twin" >/dev/null 2>&1 || :
sudo -n docker node rm --force "$twin" >/dev/null
done`
}
