/** What a node says of itself over ssh: how far its first boot is, Docker, the cluster. */
import { joinKinds, readSaid, type Said } from '../cluster/feature.ts'
import { features } from '../features/index.ts'
import type { NodeStatus } from './events.ts'
import { lastWords, type NodeSsh } from './node-ssh.ts'

/** Lines `name value`; nothing in it needs root but what features ask. A full disk can leave the status of /var old. */
const QUESTION = [
  'echo "firstboot $(cat /run/piimage/status 2>/dev/null || cat /var/lib/piimage/status 2>/dev/null)"',
  ...features.flatMap(({ probe }) => probe ?? []),
  'exit 0',
].join('\n')

export interface Asked {
  status: NodeStatus
  /** Nothing where it was not reached. */
  said: Said
}

export async function askNode(ssh: NodeSsh, node: string): Promise<Asked> {
  const answer = await ssh.run(node, QUESTION)
  if (answer.status !== 0)
    return { status: { node, reached: false, problem: lastWords(answer) }, said: new Map() }
  const said = readSaid(answer.stdout)
  return { status: { node, reached: true, ...describeSaid(said) }, said }
}

/** What QUESTION prints; a value that is empty is not there. */
export function describeSaid(values: Said): Pick<NodeStatus, 'firstBoot' | 'docker' | 'join'> {
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
