/** What is asked of a node that is up, from outside, and what a right answer is. */
import type { NodeStatus } from '../events.ts'
import { lastWords, type NodeSsh, type SshResult } from '../node-ssh.ts'
import { askNode, hasFinished } from '../node-status.ts'
import type { Expected } from './subject.ts'

export interface Check {
  what: string
  ok: boolean
  /** What was found. */
  found: string
}

const QUESTION = `echo "hostname $(hostname)"
echo "address $(ip -4 -o addr show 2>/dev/null | awk '{ print $4 }' | tr '\\n' ' ')"
if grep -qsw memory /sys/fs/cgroup/cgroup.controllers || awk '$1 == "memory" && $4 == 1 { on = 1 } END { exit !on }' /proc/cgroups
then echo 'cgroup on'; else echo 'cgroup off'; fi
sed 's/^/history /' /var/lib/piimage/history 2>/dev/null
exit 0`

/** @param whole whether all of the node's cluster is started */
export async function askChecks(
  ssh: NodeSsh,
  node: string,
  expected: Expected,
  whole: boolean,
): Promise<Check[]> {
  const answer = await ssh.run(node, QUESTION)
  if (answer.status !== 0) return [{ what: 'answers', ok: false, found: lastWords(answer) }]
  const lines = answer.stdout.split('\n').map((line) => line.trim().split(/\s+/))
  const valuesOf = (key: string) => lines.filter(([word]) => word === key).map(([, ...values]) => values)
  const checks: Check[] = []
  const compare = (what: string, wanted: string | undefined, found: readonly string[]) => {
    if (wanted !== undefined)
      checks.push({ what, ok: found.includes(wanted), found: found.join(' ') || 'none' })
  }
  const { hostname, address, memoryCgroup, firstBoot, join } = expected
  compare('host name', hostname, valuesOf('hostname').flat())
  compare(
    'address',
    address && `${address.ip}/${address.prefix}`,
    valuesOf('address')
      .flat()
      .filter((one) => !one.startsWith('127.')),
  )
  compare('memory cgroup', memoryCgroup ? 'on' : undefined, valuesOf('cgroup').flat())
  if (!firstBoot) return checks
  const { status } = await askNode(ssh, node)
  checks.push(firstBootCheck(status, valuesOf('history'), whole))
  if (whole && join !== undefined)
    checks.push({ what: join, ok: JOINED.includes(status.join ?? ''), found: status.join ?? 'not joined' })
  return checks
}

/** What features say of a node that is in (src/features/). */
const JOINED = ['active', 'joined']

/** Each step that began must have ended well: the last one says that all have. */
function firstBootCheck(status: NodeStatus, history: readonly (readonly string[])[], whole: boolean): Check {
  const steps = [...new Set(history.map(([, step = '']) => step))].filter((step) => step !== 'firstboot')
  const { step, state, detail } = status.firstBoot ?? {}
  const found = hasFinished(status)
    ? ['done', ...steps].join(' ')
    : step === undefined
      ? 'not begun'
      : `${step} ${state}${detail === '' ? '' : `: ${detail}`}`
  return { what: 'first boot', ok: hasFinished(status) || (!whole && state === 'waiting'), found }
}

/** Why ssh did not get in, in a few words; undefined: it did. */
export function whyNotIn(
  answer: SshResult,
): { what: 'host key' | 'login' | 'ssh'; found: string } | undefined {
  if (answer.status !== 255) return undefined
  const said = answer.stderr
  if (/Host key verification failed|HOST IDENTIFICATION HAS CHANGED|No ED25519 host key is known/i.test(said))
    return { what: 'host key', found: 'another than the derived one' }
  if (/Permission denied/.test(said)) return { what: 'login', found: 'the key is not let in' }
  return { what: 'ssh', found: lastWords(answer) }
}
