/**
 * All overlays of a node, resolved and poured into one draft.
 *
 * Later overlays win over earlier ones, edit by edit; the order is the cluster
 * file's. Facts go to the OS family first, so that an overlay's own edits come
 * after, and over, what the system would do by itself.
 */

import { bytesOf } from '../boot/boot-files.ts'
import { mergeTrees } from '../boot/cloud-init.ts'
import type { Locale, Node, NodeInterface, OverlayUse, User, Wifi } from '../cluster/node.ts'
import { type Mistake, MistakesError, UsageError } from '../errors.ts'
import type { Edit, SystemFactName, SystemFacts } from '../node/edits.ts'
import { isHostName } from '../plain-value.ts'
import type { Secret } from '../secret.ts'
import type { HostKey } from '../secrets/node-keys.ts'
import { ARTIFACTS } from './artifacts.ts'
import type { BootDraft } from './boot-draft.ts'
import type { Overlay } from './overlay.ts'
import { type ResolvedOverlay, resolveOverlay } from './resolve-overlay.ts'
import type { Subject } from './values.ts'

/**
 * @throws {UsageError} an overlay that does not exist, lacks another, or may not stand beside another
 */
export async function resolveOverlays(
  overlays: ReadonlyMap<string, Overlay>,
  subject: Subject,
): Promise<ResolvedOverlay[]> {
  const { node } = subject
  const used = new Set(node.overlays.map(({ name }) => name))
  const resolved: ResolvedOverlay[] = []
  for (const use of node.overlays) {
    const overlay = overlays.get(use.name)
    if (overlay === undefined) {
      throw mistake(
        use,
        node,
        `there is no overlay ${use.name}`,
        `known are ${[...overlays.keys()].sort().join(', ')}`,
      )
    }
    for (const name of overlay.requires) {
      if (!used.has(name))
        throw mistake(use, node, `the overlay ${use.name} needs the overlay ${name}`, `add ${name}`)
    }
    for (const name of overlay.conflicts) {
      if (used.has(name))
        throw mistake(use, node, `the overlays ${use.name} and ${name} exclude each other`, 'take one out')
    }
    resolved.push(await resolveOverlay(overlay, use, subject))
  }
  return resolved
}

function mistake(use: OverlayUse, node: Node, message: string, hint: string): UsageError {
  if (use.place === undefined) return new UsageError(`node ${node.name}: ${message}`, { hint: `${hint}.` })
  const found: Mistake = { ...use.place, message, hint }
  return new MistakesError([found])
}

/** The facts that overlays ask for. */
export function collectFacts(
  resolved: readonly ResolvedOverlay[],
  hostKey: () => HostKey | undefined,
): SystemFacts {
  const facts: SystemFacts = {}
  for (const { name, edits } of resolved) {
    for (const edit of edits) {
      if (edit.kind !== 'system') continue
      for (const [fact, value] of Object.entries(edit.facts)) {
        setFact(facts, fact as SystemFactName, value, name, hostKey)
      }
    }
  }
  return facts
}

function setFact(
  facts: SystemFacts,
  fact: SystemFactName,
  value: unknown,
  overlay: string,
  hostKey: () => HostKey | undefined,
): void {
  switch (fact) {
    case 'hostname':
      facts.hostname = checkHostname(value, overlay)
      break
    case 'user':
      facts.user = value as User
      break
    case 'network':
      facts.network = value as NodeInterface[]
      break
    case 'wifi':
      facts.wifi = value as Wifi
      break
    case 'locale':
      facts.locale = { ...facts.locale, ...(value as Locale) }
      break
    case 'ssh': {
      const wanted = (value as { 'password-login'?: unknown })['password-login']
      facts.ssh = typeof wanted === 'boolean' ? { passwordLogin: wanted } : {}
      break
    }
    case 'host-keys':
      facts.hostKey = hostKey() ?? facts.hostKey
      break
  }
}

function checkHostname(value: unknown, overlay: string): string {
  if (typeof value === 'string' && isHostName(value)) return value
  throw new UsageError(`overlay ${overlay}: ${JSON.stringify(value)} is no host name`, {
    hint: 'Lower-case letters, digits and dashes, at most 63, no dash at the ends (RFC 1123).',
  })
}

/** Everything but the facts. */
export function applyEdits(
  draft: BootDraft,
  resolved: readonly ResolvedOverlay[],
  makeArtifact: (name: string, overlay: string) => Secret | string,
): void {
  for (const { name, edits, environment } of resolved) {
    for (const edit of edits) applyEdit(draft, edit, (artifact) => makeArtifact(artifact, name))
    Object.assign(draft.environment, environment)
  }
  for (const tree of resolved.flatMap(({ lastTrees }) => lastTrees)) {
    draft.userData = mergeTrees(draft.userData, tree)
  }
}

function applyEdit(draft: BootDraft, edit: Edit, makeArtifact: (name: string) => Secret | string): void {
  switch (edit.kind) {
    case 'system':
      break
    case 'cmdline':
      draft.cmdlineEdits.push(edit.edit)
      break
    case 'config':
      draft.config.push(...edit.lines)
      break
    case 'cloud-init':
      draft.userData = mergeTrees(draft.userData, edit.tree)
      break
    case 'boot-file':
      draft.files.set(edit.path, edit.content)
      break
    case 'materials':
      for (const name of edit.names) {
        const artifact = makeArtifact(name)
        if (typeof artifact === 'string') draft.payload.set(`${ARTIFACTS}/${name}`, bytesOf(artifact))
        else draft.secretFiles.set(name, artifact)
      }
      break
    case 'copies':
      for (const [path, content] of edit.files) draft.payload.set(path, content)
      break
    case 'root-file':
      draft.rootFiles = draft.rootFiles.filter(({ path }) => path !== edit.file.path)
      draft.rootFiles.push(edit.file)
      break
    case 'firstboot':
      draft.steps.push(edit.step)
      Object.assign(draft.environment, edit.environment)
      break
  }
}
