/**
 * What one node is, whatever it boots from: the value between the cluster file
 * and a medium. A card's boot partition and a root on a server are both
 * rendered from it (../systems/), so nothing in it belongs to either.
 */
import type { TreeMap } from '../boot/cloud-init.ts'
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { Node } from '../cluster/node.ts'
import type { Secret } from '../secret.ts'
import type { RootFile, Step, SystemFacts } from './edits.ts'

export interface NodeState {
  node: Node
  /** Name of its cluster. */
  cluster: string
  /** Key in images.lock.json. */
  image: string
  /** Names, in the order they were applied. */
  overlays: readonly string[]
  /** Name, account, keys, network …: what each system says in its own way. */
  facts: SystemFacts
  /** Kernel parameters. */
  kernel: readonly CmdlineEdit[]
  /** Lines of config.txt. */
  config: readonly ConfigTxtLine[]
  /** Fragments of cloud-config, in the order they are merged. */
  cloudConfig: readonly TreeMap[]
  /** Files beside the kernel, by path. */
  bootFiles: ReadonlyMap<string, Uint8Array>
  /** Files of the root file system. */
  rootFiles: readonly RootFile[]
  /** What its first boot runs. */
  steps: readonly Step[]
  /** Variables of those steps. */
  environment: Readonly<Record<string, string>>
  /** Files for those steps, by path below the folder of the first boot. */
  payload: ReadonlyMap<string, Uint8Array>
  /** The same, readable by root only. Plain text: not secret itself. */
  secretFiles: ReadonlyMap<string, Secret | string>
  given: GivenFiles
}

/** Files that somebody brings along on the command line, in place of the image's own. */
export interface GivenFiles {
  userData?: TreeMap
  metaData?: TreeMap
  configTxt?: string
  /** By path on the boot partition. */
  files: ReadonlyMap<string, Uint8Array>
  /** What is in them and must not be shown. */
  secrets: readonly string[]
}

export const nothingGiven: GivenFiles = { files: new Map(), secrets: [] }

/** Everything in a state that must not be shown. */
export function secretsOf({ facts, secretFiles, given }: NodeState): string[] {
  const held = [facts.user?.passwordHash, facts.wifi?.psk, facts.wifi?.sae, ...secretFiles.values()]
  const secrets = new Set(given.secrets)
  for (const secret of held) if (typeof secret === 'object') secrets.add(secret.reveal())
  return [...secrets].sort()
}
