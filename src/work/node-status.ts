/** What a node says of itself over ssh: how far its first boot is, Docker, the cluster. */
import { lastWords, type NodeSsh } from './node-ssh.ts'

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

/** Lines `key value`; nothing in it needs root but Docker's socket. A full disk can leave the status of /var old. */
const QUESTION = `echo "firstboot $(cat /run/piimage/status 2>/dev/null || cat /var/lib/piimage/status 2>/dev/null)"
d() { sudo -n docker "$@" 2>/dev/null || docker "$@" 2>/dev/null; }
if command -v docker >/dev/null; then echo "docker $(d version -f '{{.Server.Version}}')"; echo "swarm $(d info -f '{{.Swarm.LocalNodeState}}')"; fi
if [ -e /etc/kubernetes/kubelet.conf ]; then echo 'kubernetes joined'; fi
if command -v k3s >/dev/null; then echo "kubernetes $(systemctl is-active k3s k3s-agent 2>/dev/null | grep -x active | head -n 1)"; fi
exit 0`

export async function askNode(ssh: NodeSsh, node: string): Promise<NodeStatus> {
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

/** Whether every step of the first boot has been done. */
export const hasFinished = ({ firstBoot }: NodeStatus): boolean =>
  firstBoot?.step === 'firstboot' && firstBoot.state === 'done'
