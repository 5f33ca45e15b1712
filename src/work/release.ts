/**
 * A node for everybody: what an image may hold that is published. Nothing of a
 * person (account, keys, Wi-Fi) and nothing derived from anybody's cluster key:
 * the system asks for those at its first boot, or `piimage customise` puts them
 * in later.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PAYLOAD } from '../boot/payload-paths.ts'
import { readLocalFile } from '../cluster/cluster-file.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { derivedSeeds } from '../customise/derived-seeds.ts'
import { findSecrets } from '../customise/find-secrets.ts'
import type { BootPlan } from '../customise/plan-boot.ts'
import { UsageError } from '../errors.ts'
import { features } from '../features/index.ts'
import { Secret } from '../secret.ts'
import { CLUSTER_KEY_FILE, readClusterKey } from '../secrets/cluster-key.ts'
import { type NodeKeys, nodeKeys } from '../secrets/node-keys.ts'
import { findAnyOf, type SecretFinder } from '../secrets/occurrences.ts'
import { NOBODYS_KEY } from './login.ts'
import type { Project } from './project.ts'

const personal = new Set(features.filter((feature) => feature.personal).map(({ name }) => name))

/** The files that a cluster file names lie with the person who wrote it: where one is not here, this will do. */
export const standIn: typeof readLocalFile = (path) => {
  if (existsSync(path)) return readLocalFile(path)
  return { text: `${path.endsWith('.pub') ? NOBODYS_KEY : 'a stand-in pass phrase'}\n`, mode: 0o600 }
}

/** The same project, its nodes without anything of a person's; it needs no cluster.key. */
export function forRelease(project: Project): Project {
  const nodes = project.cluster.nodes.map(withoutPerson)
  const cluster: Cluster = { ...project.cluster, nodes, join: { kind: 'none', by: 'pull' } }
  return { ...project, cluster, release: true }
}

function withoutPerson({ user: _user, wifi: _wifi, ...node }: Node): Node {
  return { ...node, overlays: node.overlays.filter(({ name }) => !personal.has(name)) }
}

/**
 * What is left may still be secret: an overlay's token, somebody's user-data.
 * @param given the node with what was taken from it
 * @param finds what no release may hold
 * @returns the files that hold something secret
 */
export function findSecretFiles(plan: BootPlan, given: Node, finds: ReleaseFinders): string[] {
  const users = [given.user, ...(given.user?.others ?? [])].filter((user) => user !== undefined)
  const texts = [...plan.secrets, ...users.flatMap(({ sshKeys }) => sshKeys).map(keyMaterial)]
  const networks = [given.wifi, ...(given.wifi?.others ?? [])].flatMap((wifi) => [wifi?.psk, wifi?.sae])
  for (const secret of [...users.map(({ passwordHash }) => passwordHash), ...networks])
    if (secret !== undefined) texts.push(secret.reveal())
  const findsGiven = findAnyOf(texts)
  const holds = plan.files.filter(({ path, before, after }) => {
    if (after === null || after.length === 0) return false
    if (path.startsWith(`${PAYLOAD}/secrets/`)) return true
    const bytes = Buffer.from(after)
    // What an overlay passes on without knowing what it is; not the image's own, which is public.
    const stock = Buffer.from(before ?? [])
    const seed = /^(user-data|vendor-data|network-config)$/.test(path) ? findSecrets(bytes.toString()) : []
    return (
      seed.some((secret) => !stock.includes(secret)) ||
      texts.some((text) => bytes.includes(text)) ||
      findsGiven(bytes) ||
      [bytes, Buffer.from(path)].some(finds.derived) ||
      (finds.named(bytes) && !finds.named(stock))
    )
  })
  return holds.map(({ path }) => path)
}

/** What is looked for in what is about to be published, however it is written down. */
export interface ReleaseFinders {
  /** The cluster's key, where it is at hand, and everything that is derived from it. */
  derived: SecretFinder
  /** The passwords and pass phrases in the files that the cluster file names. */
  named: SecretFinder
}

export async function openSecretFinders(cluster: Cluster): Promise<ReleaseFinders> {
  const named = findAnyOf((cluster.secrets ?? []).map((secret) => secret.reveal()))
  const path = join(cluster.folder, CLUSTER_KEY_FILE)
  if (!existsSync(path)) return { named, derived: () => false }
  const key = await readClusterKey(path)
  return { named, derived: findAnyOf([key.reveal(), ...derivedSecrets(cluster, nodeKeys(key))]) }
}

function derivedSecrets(cluster: Cluster, keys: NodeKeys): (Uint8Array | string)[] {
  const found: (Uint8Array | string)[] = derivedSeeds(cluster, keys)
  for (const node of cluster.nodes) {
    found.push(keys.hostKey(node.name).privateKey.reveal())
    for (const row of features.flatMap(({ artifacts }) => artifacts ?? [])) {
      const artifact = attempt(() => row.of({ node, cluster }, keys))
      if (artifact instanceof Secret) found.push(artifact.reveal().trim())
    }
  }
  return found
}

/** What a feature that this cluster lacks cannot make. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

export const RELEASE_HINT =
  'Take what needs the secret out of the node; piimage customise puts it into the image later.'

export const notForRelease = (node: string, files: readonly string[]): UsageError =>
  new UsageError(`node ${node} is not for release: a secret is in ${files.join(', ')}`, {
    hint: RELEASE_HINT,
  })

/** The base64 of an authorized_keys line, without type and comment. */
const keyMaterial = (line: string): string => /AAAA\S+/.exec(line)?.[0] ?? line
