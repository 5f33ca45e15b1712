/**
 * What one node is, whatever it boots from: the value between the cluster file
 * and a medium. A card's boot partition and a root on a server are both
 * rendered from it (../systems/), so nothing in it belongs to either.
 */
import type { TreeMap } from '../boot/cloud-init.ts'
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { Locale, Node, NodeInterface, User, Wifi } from '../cluster/node.ts'
import type { Secret } from '../secret.ts'
import type { HostKey } from '../secrets/node-keys.ts'

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
  /** For everybody: whoever writes the image may still say account, key and Wi-Fi in another tool's way. */
  published: boolean
}

/** Facts that overlays ask for; what is undefined was not asked for and stays as the image has it. */
export interface SystemFacts {
  hostname?: string
  user?: User
  /** ssh is switched on; `passwordLogin` undefined: only where the user has no key. */
  ssh?: { passwordLogin?: boolean }
  network?: NodeInterface[]
  wifi?: Wifi
  locale?: Locale
  hostKey?: HostKey
}

export type Phase = 'early' | 'network'

export interface Step {
  /** What follows the number in the file's name: `docker` in `50-docker.sh`. */
  name: string
  /** `early`: by install.sh, without network. `network`: by the first-boot unit, with network. */
  phase: Phase
  /** 0–99. */
  order: number
  /** The script's bytes. */
  script: Uint8Array
}

/**
 * A file for the root file system, carried on the boot partition until first
 * boot. `secret` is a path below piimage/secrets/ that holds the content.
 */
export type RootFile = RootFilePlace & ({ content: Uint8Array } | { secret: string })

interface RootFilePlace {
  /** Absolute. */
  path: string
  /** Octal digits. */
  mode: string
  owner: string
  group: string
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
  const networks = [facts.wifi, ...(facts.wifi?.others ?? [])].flatMap((wifi) => [wifi?.psk, wifi?.sae])
  const hashes = [facts.user, ...(facts.user?.others ?? [])].map((user) => user?.passwordHash)
  const held = [...hashes, ...networks, ...secretFiles.values()]
  const secrets = new Set(given.secrets)
  for (const secret of held) if (typeof secret === 'object') secrets.add(secret.reveal())
  return [...secrets].sort()
}
