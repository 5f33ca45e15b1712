/**
 * Nodes brought into the swarm from outside, over ssh.
 *
 * For clusters with `join: { by: ssh-push }`, and for a card that was made again
 * after the swarm was complete. The token goes from the head to the node through
 * this program's memory and the two connections; it is on no command line, here
 * or there.
 */
import { boards } from '../../cluster/boards.ts'
import type { PushJoin, RunOnNode } from '../../cluster/feature.ts'
import type { Cluster, Node } from '../../cluster/node.ts'
import { UsageError } from '../../errors.ts'

const TOKEN = /^SWMTKN-[12]-[0-9a-z]{50}-[0-9a-z]{25}$/
const STATE = "sudo -n docker info -f '{{.Swarm.LocalNodeState}}'"

export const pushJoin: PushJoin = {
  askToken,
  bringIn,
  async forgetToken(run, head) {
    await run(head.name, 'sudo -n docker swarm join-token --rotate -q worker >/dev/null')
  },
}

async function askToken(run: RunOnNode, head: Node): Promise<string> {
  const answer = await run(head.name, 'sudo -n docker swarm join-token -q worker')
  const token = answer.stdout.trim()
  if (answer.status === 0 && TOKEN.test(token)) return token
  throw new UsageError(`the head ${head.name} gives no token: ${answer.reason}`, {
    hint: 'It makes the swarm at its first boot: piimage status shows how far it is.',
  })
}

/** @returns why the node is not in, or undefined */
async function bringIn(
  run: RunOnNode,
  cluster: Cluster,
  node: Node,
  head: Node,
  token: string,
): Promise<string | undefined> {
  const state = await run(node.name, STATE)
  if (state.status !== 0) return `not asked: ${state.reason}`
  if (state.stdout.trim() !== 'active') {
    const from = node.interfaces[0]?.address?.ip ?? node.interfaces[0]?.name ?? 'eth0'
    const leave = state.stdout.trim() === 'inactive' ? '' : 'sudo -n docker swarm leave --force >/dev/null; '
    const answer = await run(
      node.name,
      // By the payload's own function, which keeps the token out of every argument.
      `read -r token; ${leave}printf '%s\\n' "$token" | sudo -n sh -c '. /opt/piimage/lib.sh && join_swarm "$@"' sh ${from} ${head.interfaces[0]?.address?.ip}:2377`,
      `${token}\n`,
    )
    if (answer.status !== 0) return answer.reason
  }
  const settled = await run(head.name, settleCommand(cluster, node))
  return settled.status === 0 ? undefined : `it is in, without its labels: ${settled.reason}`
}

/** Labels and role, set on the head once it sees the node ready. */
function settleCommand({ nodes }: Cluster, { name, model, manager, labels }: Node): string {
  if (!nodes.some((node) => node.name === name)) throw new Error(`${name} is not a node`)
  const known = boards[model].cpu === 'armv6' ? { arch: 'armv6' } : {}
  const pairs = Object.entries({ ...known, ...labels }).map(([key, value]) => `--label-add '${key}=${value}'`)
  const update = pairs.length === 0 ? '' : `sudo -n docker node update ${pairs.join(' ')} "$id" >/dev/null;`
  const promote = manager ? 'sudo -n docker node promote "$id" >/dev/null;' : ''
  return `set -e; n=0; while :; do
id=$(sudo -n docker node ls --format '{{.ID}} {{.Hostname}} {{.Status}}' | awk '$2 == "${name}" && $3 == "Ready" { print $1; exit }')
[ -z "$id" ] || break; n=$((n + 1)); [ $n -lt 30 ] || { echo 'the head does not see it' >&2; exit 1; }; sleep 1; done; ${update} ${promote}`
}
