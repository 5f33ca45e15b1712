/**
 * One Pi and its cluster, resolved: defaults, group and node merged, addresses
 * worked out, overlays in order. Everything after the cluster file speaks in
 * these values and never looks into YAML again.
 */
import type { Mistake } from '../errors.ts'
import type { Secret } from '../secret.ts'
import type { Model } from './boards.ts'
import type { RootModeWord } from './root-modes.ts'

export type { Model }
export type Arch = 'armhf' | 'arm64'

/** Where in a text file something was said; for messages. */
export interface Place {
  file: string
  line: number
  column: number
}

export interface NodeInterface {
  /** Kernel name: `eth0`, `wlan0`, `usb0`, `br0`. */
  name: string
  /** undefined: DHCP. */
  address?: {
    /** Dotted quad, without prefix. */
    ip: string
    /** 0–32; never 32 on a LAN port. */
    prefix: number
    gateway?: string
  }
  dns: string[]
  /** DNS search domain. */
  domain?: string
}

export interface WifiNetwork {
  ssid: string
  /** 64 hex digits, derived from the pass phrase; undefined: an open network, or WPA3 alone. */
  psk?: Secret
  /** The pass phrase itself, for WPA3 (SAE). */
  sae?: Secret
  hidden: boolean
}

/** The radio, and the network it prefers. */
export interface Wifi extends Omit<WifiNetwork, 'ssid'> {
  /** undefined: no network is joined; the radio only knows its country. */
  ssid?: string
  /** ISO 3166 country code, upper case. */
  country: string
  /** Further networks, preferred ones first. */
  others?: readonly WifiNetwork[]
}

export interface User {
  name: string
  /** crypt(3) hash, `$6$…`; undefined: no password login. */
  passwordHash?: Secret
  /** `authorized_keys` lines, normalised. */
  sshKeys: string[]
  /** Whether sudo asks for the password; false: NOPASSWD. */
  sudoPassword: boolean
  /** Further accounts, which are made beside this one. */
  others?: readonly FurtherUser[]
}

export interface FurtherUser extends Omit<User, 'others'> {
  /** Besides the one of its own name; those that the image lacks are made. */
  groups: readonly string[]
  /** Absolute path. */
  shell: string
  /** Whether it may become root at all. */
  sudo: boolean
}

export interface Locale {
  /** As current systems call it. */
  timezone?: string
  /** Layout of the keyboard. */
  keymap?: string
  /** Of that layout. */
  keymapVariant?: string
  locale?: string
}

/** An overlay as a node uses it. */
export interface OverlayUse {
  name: string
  parameters: Record<string, unknown>
  /** Where the cluster file asks for it; undefined: implied (`user:` implies the overlay `user`). */
  place?: Place
}

export type ClusterHat = { role: 'cnat' | 'cbridge' } | { role: 'slot'; slot: number }

export interface Node {
  /** Host name, RFC 1123, lower case. */
  name: string
  model: Model
  /** Key in images.lock.json. */
  image: string
  /** OS family given by hand; undefined: recognised from the image. */
  os?: string
  /** The first one faces the cluster. */
  interfaces: NodeInterface[]
  wifi?: Wifi
  user?: User
  locale: Locale
  /** In the order they are applied; each name once. */
  overlays: OverlayUse[]
  clusterHat?: ClusterHat
  boot: 'card' | 'net'
  /** Lower case, with colons. */
  mac?: string
  /** 8 or 16 hex digits, lower case. */
  serial?: string
  role: 'head' | 'worker'
  /** A further manager; the head is one without saying so. */
  manager: boolean
  /** The node routes between these two interfaces and serves DHCP and DNS on `lan`. */
  router?: { uplink: string; lan: string }
  /** In the cluster that the nodes form. */
  labels: Record<string, string>
  /** Bytes of the volume file that holds a diskless node's containers. */
  storageBytes?: number
  groups: string[]
  place: Place
  /** Where values were said that its image judges: `timezone`, `keymap`, `keymapVariant`, `locale`, `user NAME`, `shell NAME`. */
  places?: ReadonlyMap<string, Place>
}

export interface Join {
  /** The feature that makes the nodes one cluster, or `none`. */
  kind: string
  /** Node name of the head; undefined only when kind is `none`. */
  head?: string
  /** `pull`: each worker fetches its token at first boot; `ssh-push`: `piimage join` does it from outside. */
  by: 'pull' | 'ssh-push'
}

export interface Network {
  cidr: string
  gateway?: string
  dns: string[]
  domain?: string
  /**
   * `proxy`: somebody else's DHCP server is on this network; a range: what the
   * router or netboot server hands out to boards it does not know.
   */
  dhcp?: 'proxy' | { from: string; to: string; lease: string }
}

/** How diskless nodes are served. */
export interface Netroot {
  /** Node name; undefined: the machine piimage runs on, or `outside`. */
  server?: string
  /** A server that is no node. */
  outside?: { ip: string; prefix: number; interface?: string }
  layout: 'serial' | 'mac'
  root: RootModeWord
}

export interface Cluster {
  name: string
  /** The cluster file's path, as given. */
  file: string
  /** Its folder, absolute: `overlays/` and `cluster.key` lie here. */
  folder: string
  network?: Network
  join: Join
  netroot: Netroot
  /** In file order. */
  nodes: Node[]
  /** What is allowed and probably not meant; in reading order. */
  warnings: Mistake[]
  /** Passwords and pass phrases as they stand in the files that the cluster file names. */
  secrets?: Secret[]
}
