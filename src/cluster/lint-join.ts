/** Rules about how the nodes become one cluster: one head, that can be found and can do it. */

import { suggest } from '../nearest.ts'
import type { Draft } from './draft.ts'
import { pick } from './layers.ts'
import { models } from './models.ts'
import type { LintInput, Rule } from './rule.ts'

const headOf = ({ drafts }: LintInput): Draft | undefined => drafts.find(({ role }) => role === 'head')
const kindOf = ({ file }: LintInput): string => file.join?.kind ?? 'none'

export const oneHead: Rule = (input) => {
  const { file, drafts, judge } = input
  const names = drafts.map(({ name }) => name)
  const named = file.join?.head
  if (named !== undefined && !names.includes(named))
    judge.mistake(['join', 'head'], `there is no node ${named}`, suggest(named, names, 'nodes'))
  const heads = drafts.filter(({ role }) => role === 'head')
  for (const head of heads.slice(1)) {
    const role = pick(head, 'role')
    judge.mistake(
      role?.path ?? ['join', 'head'],
      `two heads: ${heads[0]?.name} and ${head.name}`,
      'a cluster has one; further swarm managers are role: manager',
    )
  }
  if (kindOf(input) !== 'none' && heads.length === 0 && !Object.hasOwn(file.join ?? {}, 'head'))
    judge.mistake(
      ['join'],
      `join: ${kindOf(input)} needs a head`,
      `name the node that makes the cluster: head: ${names[0] ?? 'NODE'}`,
      'key',
    )
}

/** Workers must know where the head is before anything is switched on. */
export const headAddress: Rule = (input) => {
  const head = headOf(input)
  if (head === undefined || kindOf(input) === 'none') return
  const [first] = head.interfaces
  if (first !== undefined && first.address === undefined)
    input.judge.mistake(
      first.path,
      `${head.name} is the head and has no fixed address`,
      'the others must find it: give it an address, as in address: 10.3.50.1/24',
      first.path.length === head.path.length ? 'key' : 'value',
    )
}

export const managersInSwarm: Rule = (input) => {
  if (kindOf(input) === 'swarm') return
  for (const draft of input.drafts)
    if (draft.role === 'manager')
      input.judge.mistake(
        pick(draft, 'role')?.path ?? draft.path,
        `${draft.name}: only a swarm has managers`,
        'leave the role out: join.head names the head',
      )
}

export const kubernetesOnArm: Rule = (input) => {
  const kind = kindOf(input)
  if (kind !== 'kubeadm' && kind !== 'k3s') return
  for (const draft of input.drafts) {
    const model = pick(draft, 'model')?.value
    const image = pick(draft, 'image')
    const arch = image?.value === undefined ? undefined : input.judge.options.archOf?.(image.value)
    if (model === undefined) continue
    const { title, cpu } = models[model]
    if (cpu === 'armv6' || (kind === 'kubeadm' && cpu !== 'armv8'))
      input.judge.mistake(
        pick(draft, 'model')?.path ?? draft.path,
        `${draft.name} is a ${title} (${cpu}): ${kind} does not run on it`,
        kind === 'k3s'
          ? 'k3s needs ARMv7 or arm64'
          : 'Kubernetes left 32-bit ARM with 1.27; k3s runs on ARMv7',
      )
    else if (kind === 'kubeadm' && arch === 'armhf')
      input.judge.mistake(
        image?.path ?? draft.path,
        `${draft.name} has a 32-bit image: Kubernetes left 32-bit ARM with 1.27`,
        'give it an arm64 image, or join: { kind: k3s }',
      )
  }
}

/** The overlay that joins is implied by `join`; another one would join something else. */
export const joinOverlays: Rule = (input) => {
  const kind = kindOf(input)
  for (const { name, mentions } of input.drafts)
    for (const { name: overlay, parameters, path, part } of mentions)
      if (['swarm', 'kubeadm', 'k3s'].includes(overlay) && overlay !== kind && parameters !== false)
        input.judge.mistake(
          path,
          `${name}: the overlay ${overlay} needs join: { kind: ${overlay} }`,
          kind === 'none' ? 'add join: with kind and head' : `join.kind is ${kind}`,
          part,
        )
}

export const serverExists: Rule = ({ file, drafts, judge }) => {
  const server = file.netroot?.server
  const names = drafts.map(({ name }) => name)
  if (server !== undefined && !names.includes(server))
    judge.mistake(['netroot', 'server'], `there is no node ${server}`, suggest(server, names, 'nodes'))
}
