/**
 * A node's overlays, resolved → its state. Later overlays win over earlier
 * ones, edit by edit; the order is the cluster file's.
 */
import { bytesOf } from '../boot/boot-files.ts'
import type { TreeMap } from '../boot/cloud-init.ts'
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import { ARTIFACTS } from '../boot/payload-paths.ts'
import type { Locale, Node, NodeInterface, User, Wifi } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import { isHostName } from '../plain-value.ts'
import type { Secret } from '../secret.ts'
import type { HostKey } from '../secrets/node-keys.ts'
import type { Edit, ResolvedOverlay, SystemFactName } from './edits.ts'
import type { RootFile, Step, SystemFacts } from './state.ts'
import { type GivenFiles, type NodeState, nothingGiven } from './state.ts'

export interface StateInput {
  node: Node
  /** Name of the cluster. */
  cluster: string
  /** Key in images.lock.json. */
  image: string
  overlays: readonly ResolvedOverlay[]
  /** Called only if an overlay asks; undefined: the node makes its own, as images do. */
  hostKey: () => HostKey | undefined
  /** A text made from the whole cluster, by name. */
  makeArtifact: (name: string, overlay: string) => Secret | string
  given?: GivenFiles
  published?: boolean
}

/** @throws {UsageError} a value that no system could take */
export function buildState(input: StateInput): NodeState {
  const { node, cluster, image, overlays, makeArtifact, given = nothingGiven, published = false } = input
  const facts = collectFacts(overlays, input.hostKey)
  const edits = overlays.flatMap(({ edits: own }) => own)
  const of = <K extends Edit['kind']>(kind: K) =>
    edits.filter((edit): edit is Extract<Edit, { kind: K }> => edit.kind === kind)

  const payload = new Map<string, Uint8Array>()
  const secretFiles = new Map<string, Secret | string>(hostKeyFiles(facts.hostKey))
  const environment: Record<string, string> = {}
  for (const { name: overlay, edits: own, environment: parameters } of overlays) {
    for (const edit of own) {
      if (edit.kind === 'copies') for (const [path, content] of edit.files) payload.set(path, content)
      if (edit.kind === 'firstboot') Object.assign(environment, edit.environment)
      if (edit.kind !== 'materials') continue
      for (const name of edit.names) {
        const artifact = makeArtifact(name, overlay)
        if (typeof artifact === 'string') payload.set(`${ARTIFACTS}/${name}`, bytesOf(artifact))
        else secretFiles.set(name, artifact)
      }
    }
    Object.assign(environment, parameters)
  }
  return {
    node,
    cluster,
    image,
    overlays: overlays.map(({ name }) => name),
    facts,
    kernel: of('cmdline').map(({ edit }): CmdlineEdit => edit),
    config: of('config').flatMap(({ lines }): ConfigTxtLine[] => lines),
    cloudConfig: [
      ...of('cloud-init').map(({ tree }): TreeMap => tree),
      ...overlays.flatMap(({ lastTrees }) => lastTrees),
    ],
    bootFiles: new Map([
      ...of('boot-file').map(({ path, content }) => [path, content] as const),
      ...given.files,
    ]),
    rootFiles: lastOfEach(of('root-file').map(({ file }) => file)),
    steps: of('firstboot').map(({ step }): Step => step),
    environment,
    payload,
    secretFiles,
    given,
    published,
  }
}

/** Of several files at one path the last counts, where it was said. */
export const lastOfEach = (files: readonly RootFile[]): RootFile[] =>
  files.filter(({ path }, index) => !files.slice(index + 1).some((later) => later.path === path))

const hostKeyFiles = (key: HostKey | undefined): [string, Secret | string][] =>
  key === undefined
    ? []
    : [
        ['ssh_host_ed25519_key', key.privateKey],
        ['ssh_host_ed25519_key.pub', `${key.publicLine}\n`],
      ]

/** The facts that overlays ask for. */
function collectFacts(resolved: readonly ResolvedOverlay[], hostKey: () => HostKey | undefined): SystemFacts {
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
  throw new UsageError(`overlay ${overlay}: ${JSON.stringify(value)} is not a valid host name`, {
    hint: 'Lower-case letters, digits and dashes, at most 63, no dash at the ends (RFC 1123).',
  })
}
