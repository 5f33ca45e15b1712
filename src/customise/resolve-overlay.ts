/**
 * One overlay as one node uses it: parameters checked and completed,
 * conditions decided, placeholders filled in. Reads the overlay's own files.
 */
import type { OverlayUse } from '../cluster/node.ts'
import { type Mistake, MistakesError, UsageError } from '../errors.ts'
import type { ResolvedOverlay } from '../node/edits.ts'
import { editKindOf } from './edit-kinds.ts'
import { checkNeeds } from './needs.ts'
import type { Overlay } from './overlay.ts'
import type { Kept } from './overlay-files.ts'
import { fillTree, type Lookup } from './placeholders.ts'
import { type LookupUse, lookupIn, type Subject } from './values.ts'

/** Nodes that use the same overlay read its files once. */
const keptOf = new WeakMap<Overlay, Kept>()

/**
 * @throws {UsageError} a parameter, a need or a value that does not fit this node
 */
export async function resolveOverlay(
  overlay: Overlay,
  use: OverlayUse,
  subject: Subject,
): Promise<ResolvedOverlay> {
  const parameters = completeParameters(overlay, use, subject.node.name)
  checkNeeds(overlay.needs, overlay.name, subject)
  const lookupFor = (use: LookupUse) => lookupIn(subject, overlay.name, parameters, use)
  const condition = lookupFor('condition')
  const kept = keptOf.get(overlay) ?? new Map()
  keptOf.set(overlay, kept)
  const reach = { folder: overlay.folder, cluster: subject.cluster, kept }
  const resolved: ResolvedOverlay = { name: overlay.name, edits: [], lastTrees: [], environment: {} }
  for (const { when, ...said } of overlay.edits) {
    if (!applies(when, condition)) continue
    for (const [key, value] of Object.entries(said)) {
      const { use: allows = 'text', verbatim = [], path, make } = editKindOf(key)
      const isGiven = path !== undefined && isGivenParameter((value as Record<string, unknown>)[path], use)
      const context = {
        overlay,
        subject,
        parameters,
        lookup: lookupFor('text'),
        reach: { ...reach, isGiven },
      }
      const {
        edits = [],
        lastTrees = [],
        environment = {},
      } = await make(fill(value, verbatim, lookupFor(allows), `overlay ${overlay.name}`) as never, context)
      resolved.edits.push(...edits)
      resolved.lastTrees.push(...lastTrees)
      Object.assign(resolved.environment, environment)
    }
  }
  return resolved
}

/** A placeholder and nothing else, of a parameter that the cluster file sets: not the overlay's own words. */
function isGivenParameter(said: unknown, { parameters }: OverlayUse): boolean {
  const [, name] = /^\$\{param\.([a-z0-9-]+)\}$/.exec(String(said)) ?? []
  return name !== undefined && Object.hasOwn(parameters ?? {}, name)
}

function fill(value: unknown, verbatim: readonly string[], lookup: Lookup, where: string): unknown {
  if (verbatim.length === 0) return fillTree(value, lookup, where)
  const entries = Object.entries(value as object)
  const isVerbatim = ([key]: [string, unknown]) => verbatim.includes(key)
  return {
    ...(fillTree(Object.fromEntries(entries.filter((entry) => !isVerbatim(entry))), lookup, where) as object),
    ...Object.fromEntries(entries.filter(isVerbatim)),
  }
}

function completeParameters(overlay: Overlay, use: OverlayUse, node: string): Record<string, unknown> {
  const parameters: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(overlay.parameters)) {
    if ('default' in schema) parameters[name] = structuredClone(schema.default)
  }
  Object.assign(parameters, use.parameters)
  const wrong = overlay.findWrongParameters(parameters)
  const messages = wrong.length === 0 ? wrongChoice(overlay, parameters) : wrong
  if (messages.length === 0) return parameters
  const known = Object.keys(overlay.parameters)
  const hint =
    known.length === 0 ? `${overlay.name} takes no parameters` : `${overlay.name} takes ${known.join(', ')}`
  const { place } = use
  if (place !== undefined) {
    throw new MistakesError(
      messages.map(
        ({ message }): Mistake => ({ ...place, message: `overlay ${overlay.name}: ${message}`, hint }),
      ),
    )
  }
  throw new UsageError(
    `node ${node}, overlay ${overlay.name}: ${messages.map(({ message }) => message).join('; ')}`,
    {
      hint: `${hint}.`,
    },
  )
}

function wrongChoice({ choice }: Overlay, parameters: Record<string, unknown>): { message: string }[] {
  return choice.flatMap((names) => {
    const given = names.filter((name) => parameters[name] !== null && parameters[name] !== undefined)
    if (given.length === 1) return []
    return [{ message: `must have ${given.length === 0 ? '' : 'only '}one of ${names.join(', ')}` }]
  })
}

function applies(when: Record<string, unknown> | undefined, lookup: (path: string) => unknown): boolean {
  return Object.entries(when ?? {}).every(([path, wanted]) => {
    const value = lookup(path)
    return Array.isArray(wanted) ? wanted.includes(value) : wanted === value
  })
}
