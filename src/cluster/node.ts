/**
 * One Pi and its cluster, resolved: defaults, group and node merged, addresses
 * worked out, overlays in order. Everything after the cluster file speaks in
 * these values and never looks into YAML again.
 */
import type { Secret } from '../secret.ts'

/** Raspberry Pi models, by the names people use in cluster files. See models.ts for what each can run. */
export type Model =
  | 'pi1'
  | 'pi2'
  | 'pi3b'
  | 'pi3b+'
  | 'pi3a+'
  | 'pi4'
  | 'pi400'
  | 'pi5'
  | 'pi500'
  | 'cm3'
  | 'cm4'
  | 'cm5'
  | 'zero'
  | 'zerow'
  | 'zero2w'

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

export interface Wifi {
  ssid: string
  /** 64 hex digits, derived from the pass phrase; undefined: an open network. */
  psk?: Secret
  /** ISO 3166 country code, upper case. */
  country: string
  hidden: boolean
}

export interface User {
  name: string
  /** crypt(3) hash, `$6$…`; undefined: no password login. */
  passwordHash?: Secret
  /** `authorized_keys` lines, normalised. */
  sshKeys: string[]
  /** Whether sudo asks for the password; false: NOPASSWD. */
  sudoPassword: boolean
}

export interface Locale {
  timezone?: string
  keymap?: string
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
  groups: string[]
  place: Place
}

export interface Join {
  kind: 'swarm' | 'kubeadm' | 'k3s' | 'none'
  /** Node name of the head; undefined only when kind is `none`. */
  head?: string
}

export interface Cluster {
  name: string
  /** The cluster file's path, as given. */
  file: string
  /** Its folder, absolute: `overlays/` and `cluster.key` lie here. */
  folder: string
  network?: { cidr: string; gateway?: string; dns: string[]; domain?: string }
  join: Join
  /** In file order. */
  nodes: Node[]
}
