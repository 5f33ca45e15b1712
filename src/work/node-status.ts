/** What a node says of itself over ssh: how far its first boot is, Docker, the cluster. */
import { joinKinds } from '../cluster/feature.ts'
import { features } from '../features/index.ts'
import type { NodeStatus } from './events.ts'
import { lastWords, type NodeSsh } from './node-ssh.ts'

/** Lines `name value`; nothing in it needs root but what features ask. A full disk can leave the status of /var old. */
const QUESTION = [
  'echo "firstboot $(cat /run/piimage/status 2>/dev/null || cat /var/lib/piimage/status 2>/dev/null)"',
  ...features.flatMap(({ probe }) => probe ?? []),
  'exit 0',
].join('\n')

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
  // A node in two clusters is in the one that the feature further down makes.
  const join = joinKinds(features)
    .map((kind) => values.get(kind))
    .findLast(Boolean)
  const docker = values.get('docker')
  const firstBoot = parseFirstBoot(values.get('firstboot') ?? '')
  return { firstBoot, docker: docker || undefined, join: join || undefined }
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
