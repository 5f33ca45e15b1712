/** `piimage status`: asks every node over ssh how far it is: first boot, Docker, cluster. */
import { formatTable } from '../report/table.ts'
import { defineCommand } from './command.ts'
import { lastWords, type NodeSsh, openNodeSsh, type SshArgs, sshFlags } from './support/node-ssh.ts'
import { findNode, openProject } from './support/project.ts'

interface StatusArgs extends SshArgs {
  node?: string[]
}

export interface NodeStatus {
  node: string
  reached: boolean
  /** Why it was not reached. */
  problem?: string
  /** The status file of the first boot; undefined: there is none. */
  firstBoot?: { step: string; state: string; time: string; detail: string }
  /** Version of the Docker daemon. */
  docker?: string
  /** `active`, `pending` … of the swarm; `joined` or `running` of Kubernetes. */
  join?: string
}

/** Lines `key value`; nothing in it needs root but Docker's socket. */
const QUESTION = `echo "firstboot $(cat /var/lib/piimage/status 2>/dev/null)"
d() { sudo -n docker "$@" 2>/dev/null || docker "$@" 2>/dev/null; }
if command -v docker >/dev/null; then echo "docker $(d version -f '{{.Server.Version}}')"; echo "swarm $(d info -f '{{.Swarm.LocalNodeState}}')"; fi
if [ -e /etc/kubernetes/kubelet.conf ]; then echo 'kubernetes joined'; fi
if command -v k3s >/dev/null; then echo "kubernetes $(systemctl is-active k3s k3s-agent 2>/dev/null | grep -x active | head -n 1)"; fi
exit 0`

/** At once, so that a large cluster neither takes an hour nor opens a hundred connections through its head. */
const AT_ONCE = 8

export const statusCommand = defineCommand<StatusArgs>({
  command: 'status',
  describe: 'Ask the nodes over ssh how far they are',
  builder: (cli) =>
    sshFlags(cli).option('node', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Nodes to ask (default: all)',
    }),
  async run(args, context) {
    const { world, output } = context
    const project = await openProject(args, context)
    const { cluster } = project
    const names = (args.node ?? cluster.nodes.map(({ name }) => name)).map(
      (name) => findNode(cluster, name).name,
    )
    const ssh = await openNodeSsh(cluster, await project.keys(), args, world)
    try {
      const statuses: NodeStatus[] = []
      for (let first = 0; first < names.length; first += AT_ONCE)
        statuses.push(
          ...(await Promise.all(names.slice(first, first + AT_ONCE).map((name) => askNode(ssh, name)))),
        )
      for (const status of statuses) output.event('node', status)
      output.print(formatTable(['NODE', 'FIRST BOOT', 'DOCKER', 'CLUSTER', ''], statuses.map(describe)))
      return { reached: statuses.filter(({ reached }) => reached).length, nodes: statuses.length }
    } finally {
      await ssh.close()
    }
  },
})

async function askNode(ssh: NodeSsh, node: string): Promise<NodeStatus> {
  const answer = await ssh.run(node, QUESTION)
  if (answer.status !== 0) return { node, reached: false, problem: lastWords(answer) }
  return { node, reached: true, ...parseAnswer(answer.stdout) }
}

/** What QUESTION prints; a value that is empty is not there. */
export function parseAnswer(text: string): Pick<NodeStatus, 'firstBoot' | 'docker' | 'join'> {
  const values = new Map(
    text.split('\n').map((line) => {
      const blank = line.indexOf(' ')
      return [line.slice(0, blank), line.slice(blank + 1).trim()] as const
    }),
  )
  const join = values.get('kubernetes') || values.get('swarm')
  const docker = values.get('docker')
  const firstBoot = parseFirstBoot(values.get('firstboot') ?? '')
  return {
    ...(firstBoot === undefined ? {} : { firstBoot }),
    ...(docker ? { docker } : {}),
    ...(join ? { join } : {}),
  }
}

function parseFirstBoot(text: string): NodeStatus['firstBoot'] {
  try {
    const { step, state, time, detail } = JSON.parse(text) as Record<string, unknown>
    return { step: String(step), state: String(state), time: String(time), detail: String(detail ?? '') }
  } catch {
    // Not there, or a power cut tore it.
    return undefined
  }
}

function describe({ node, reached, problem, firstBoot, docker, join }: NodeStatus): string[] {
  if (!reached) return [node, '-', '-', '-', `not reached: ${problem}`]
  const done = firstBoot?.step === 'firstboot' && firstBoot.state === 'done'
  const boot = firstBoot === undefined ? 'not begun' : done ? 'done' : `${firstBoot.step} ${firstBoot.state}`
  return [node, boot, docker ?? '-', join ?? '-', printable(firstBoot?.detail ?? '')]
}

/** A node's words are shown on a terminal. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, ' ')
