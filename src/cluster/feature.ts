/**
 * What a feature of a cluster is: everything that piimage knows about it besides
 * its overlay and its first-boot steps, in one value.
 *
 * The features are listed in src/features/index.ts. Other rooms read that list
 * and name none of them, so a new one is a folder and a line there.
 */
import type { Secret } from '../secret.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import type { Board } from './boards.ts'
import type { Arch, Cluster, Node } from './node.ts'

/** What decides whether a node has a feature without listing its overlay. */
export interface NodeTraits {
  user: boolean
  wifi: boolean
  locale: boolean
  staticAddress: boolean
  router: boolean
  /** `join.kind`: the name of a feature, or `none`. */
  join: string
}

export interface Feature {
  /** Of its overlay, and of its `join.kind` if it has one. */
  name: string
  /** Nodes that have it although nothing lists it; what joins a cluster is implied by `join.kind`. */
  implied?: (node: NodeTraits) => boolean
  /** Overlays that come along with it. */
  needs?: readonly string[]
  /** No node can do without it. */
  mandatory?: true
  /** It gives a node a network, so that one without Ethernet and Wi-Fi can be reached. */
  isNetwork?: true
  /** It stands for what a person gives, or for a place in one cluster: it is not in an image for release. */
  personal?: true
  /** Networks that it sets up for containers. */
  ranges?: readonly AddressRange[]
  /** What it derives from the cluster key: purpose → `node: …` or `cluster: …`, in words. No purpose is used twice. */
  purposes?: Readonly<Record<string, string>>
  artifacts?: readonly ArtifactRow[]
  storage?: Storage
  /** What its secrets look like: nothing of that form may be served over TFTP. */
  secretForms?: readonly SecretForm[]
  /**
   * Shell commands that print `<name of the feature> <value>` on a node, or
   * nothing, and lines `<name>-<what> <value>` of their own. They run as the user,
   * after those of the features before it.
   */
  probe?: string
  /** It makes one cluster of the nodes. */
  join?: JoinKind
}

export interface AddressRange {
  what: string
  /** CIDR. */
  range: string
  /** The overlay's parameter that moves it. */
  parameter?: string
}

/** A text generated for a node from the whole cluster and its key; an overlay asks for it by name. */
export interface ArtifactRow {
  name: string
  meaning: string
  /** Whoever has it has the cluster: only the head may hold it. */
  headOnly?: true
  /** A Secret, or a text that everybody may read; with its line ends. */
  of: (subject: { node: Node; cluster: Cluster }, keys: NodeKeys) => Secret | string
}

export interface StoredFolder {
  name: string
  target: string
  mode: number
}

/** What has to lie on a diskless node's own volume, because it can't be on NFS. */
export interface Storage {
  /** Folder in the volume → where the node has it. */
  folders: readonly StoredFolder[]
  /** The same for nodes with this feature alone; systemd makes them at their first mount. */
  own?: readonly StoredFolder[]
  /** systemd units that wait for those folders. */
  units: readonly string[]
}

export interface SecretForm {
  /** With its article, for `the TFTP tree would hold …`. */
  name: string
  form: RegExp
}

export interface JoinKind {
  /** It has managers besides the head. */
  managers?: true
  /** How nodes are brought in from outside; undefined: they only join by themselves. */
  push?: PushJoin
  /**
   * Why a node that is in a cluster is not in its head's; undefined: it is, or
   * nobody can tell. Given what the probe said on the node, and on the head.
   */
  whyStray?: (its: Said, heads: Said, head: string) => string | undefined
  /** Where the head keeps the administrator's kubeconfig. */
  kubeconfig?: string
  /** Why a board with such an image can't take part; undefined: it can. */
  refuse?: (model: Board, arch: Arch | undefined) => Refusal | undefined
}

/** Runs a shell command on a node, over ssh; `input` goes to its standard input. */
export type RunOnNode = (
  node: string,
  command: string,
  input?: string,
) => Promise<{
  /** 255: the node was not reached. */
  status: number
  stdout: string
  /** Why it failed, in the node's last words. */
  reason: string
}>

/** What the probes of a node printed: first word of a line → the rest. */
export type Said = ReadonlyMap<string, string>

export const readSaid = (text: string): Said =>
  new Map(
    text.split('\n').map((line) => {
      const blank = line.indexOf(' ')
      return [line.slice(0, blank), line.slice(blank + 1).trim()] as const
    }),
  )

export interface PushJoin {
  /** Nodes that are in another cluster of the kind, and why it is not the head's. */
  findStrays: (run: RunOnNode, nodes: readonly Node[], head: Node) => Promise<Map<Node, string>>
  /** @returns what a node shows to come in; secret @throws {UsageError} the head has none */
  askToken: (run: RunOnNode, head: Node) => Promise<string>
  /**
   * @param mayLeave whether it may leave the other cluster that it is in
   * @returns why the node is not in, or undefined
   */
  bringIn: (
    run: RunOnNode,
    cluster: Cluster,
    node: Node,
    head: Node,
    token: string,
    mayLeave: boolean,
  ) => Promise<string | undefined>
  /** What was shown to a node is good for nobody after this. */
  forgetToken: (run: RunOnNode, head: Node) => Promise<void>
}

export interface Refusal {
  /** What of the node is wrong. */
  about: 'model' | 'image'
  /** The sentence goes on after the node's name: `has a 32-bit image: …`. */
  problem: string
  hint: string
}

/** The values of `join.kind`, besides `none`. */
export const joinKinds = (features: readonly Feature[]): string[] =>
  features.filter(({ join }) => join !== undefined).map(({ name }) => name)
