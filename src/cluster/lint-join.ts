/** Rules about how the nodes become one cluster: one head, that can be found and can do it. */

import { suggest } from '../nearest.ts'
import { boards } from './boards.ts'
import { headDraft } from './draft.ts'
import { type JoinKind, joinKinds } from './feature.ts'
import type { ServerSettings } from './file-shape.ts'
import { contains, formatCidr, formatIpv4, lastOf, parseCidr, parseIpv4WithPrefix } from './ipv4.ts'
import { pick } from './layers.ts'
import type { LintInput, Rule } from './rule.ts'

const kindOf = ({ file }: LintInput): string => file.join?.kind ?? 'none'
const joinOf = (input: LintInput): JoinKind | undefined =>
  input.judge.options.features.find(({ name }) => name === kindOf(input))?.join

/** The kinds of clusters that have managers besides the head. */
const withManagers = ({ judge }: LintInput): string[] =>
  judge.options.features.filter(({ join }) => join?.managers).map(({ name }) => name)

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
      `a cluster has one; further ${withManagers(input).join(' or ')} managers are role: manager`,
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
  const head = headDraft(input.drafts)
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

export const managersAllowed: Rule = (input) => {
  if (joinOf(input)?.managers) return
  for (const draft of input.drafts)
    if (draft.role === 'manager')
      input.judge.mistake(
        pick(draft, 'role')?.path ?? draft.path,
        `${draft.name}: only a ${withManagers(input).join(' or ')} has managers`,
        'leave the role out: join.head names the head',
      )
}

/** Every board and image can take part in what the nodes are to form. */
export const boardsCanJoin: Rule = (input) => {
  const join = joinOf(input)
  if (join?.refuse === undefined) return
  for (const draft of input.drafts) {
    const model = pick(draft, 'model')
    const image = pick(draft, 'image')
    if (model?.value === undefined) continue
    const arch = image?.value === undefined ? undefined : input.judge.options.imageOf?.(image.value)?.arch
    const refusal = join.refuse(boards[model.value], arch)
    if (refusal === undefined) continue
    const { about, problem, hint } = refusal
    const path = (about === 'model' ? model : image)?.path ?? draft.path
    input.judge.mistake(path, `${draft.name} ${problem}`, hint)
  }
}

/** The overlay that joins is implied by `join`; another one would join something else. */
export const joinOverlays: Rule = (input) => {
  const kind = kindOf(input)
  const joining = joinKinds(input.judge.options.features)
  for (const { name, mentions } of input.drafts)
    for (const { name: overlay, parameters, path, part } of mentions)
      if (joining.includes(overlay) && overlay !== kind && parameters !== false)
        input.judge.mistake(
          path,
          `${name}: the overlay ${overlay} needs join: { kind: ${overlay} }`,
          kind === 'none' ? 'add join: with kind and head' : `join.kind is ${kind}`,
          part,
        )
}

export const serverExists: Rule = ({ file, drafts, judge }) => {
  const server = file.netroot?.server
  if (typeof server === 'object') return checkOutside(server, file.network?.cidr, drafts, judge)
  const names = drafts.map(({ name }) => name)
  if (server !== undefined && !names.includes(server))
    judge.mistake(['netroot', 'server'], `there is no node ${server}`, suggest(server, names, 'nodes'))
}

/** A server that is no node has an address that is nobody's, where the nodes are. */
function checkOutside(
  { address = '' }: ServerSettings,
  cidr: string | undefined,
  drafts: LintInput['drafts'],
  judge: LintInput['judge'],
): void {
  const parsed = parseIpv4WithPrefix(address)
  const network = parseCidr(cidr ?? '')
  if (parsed === undefined) return
  const path = ['netroot', 'server', 'address']
  const ip = formatIpv4(parsed.address)
  const same = drafts.find(({ interfaces }) =>
    interfaces.some((one) => one.address?.value === parsed.address),
  )
  if (same !== undefined)
    judge.mistake(
      path,
      `the netboot server has ${ip}, the address of ${same.name}`,
      `is it that node? Then server: ${same.name}`,
    )
  else if (network !== undefined && !contains(network, parsed.address))
    judge.mistake(
      path,
      `the netboot server's ${ip} is outside the network ${formatCidr(network)}`,
      'name the address that the nodes reach it at',
    )
  else if (network !== undefined && (parsed.address === network.base || parsed.address === lastOf(network)))
    judge.mistake(path, `${ip} can't be a machine's address in ${formatCidr(network)}`, 'choose one between')
}
