/**
 * What a cluster file holds after its schema was checked: the words of
 * schema/cluster.v1.json as types.
 *
 * Every value may be undefined even where its key is there: what broke the
 * schema was reported and taken out, and the rest is still judged.
 */
import type { Model } from './node.ts'
import type { RootModeWord } from './root-modes.ts'

export interface UserSettings {
  name?: string
  sshKeys?: (string | undefined)[]
  passwordHash?: string
  passwordFile?: string
  sudoPassword?: boolean
}

/** An account beside the node's user. */
export interface FurtherUserSettings extends UserSettings {
  groups?: (string | undefined)[]
  shell?: string
  sudo?: boolean
}

export type WifiSecurity = 'wpa2' | 'wpa3' | 'wpa2-wpa3' | 'open'

export interface WifiSettings {
  ssid?: string
  passphraseFile?: string
  pskFile?: string
  psk?: string
  passphrase?: string
  country?: string
  security?: WifiSecurity
  hidden?: boolean
}

export interface LocaleSettings {
  timezone?: string
  keymap?: string
  keymapVariant?: string
  locale?: string
}

/** `ssh`, `{ gpu-mem: { megabytes: 16 } }` or `{ docker: false }`. */
export type OverlayEntry = string | Record<string, Record<string, unknown> | false | null | undefined>

/** What may be said at the top, in a group and in a node. */
export interface SharedSettings {
  model?: Model
  image?: string
  os?: string
  boot?: 'card' | 'net'
  storage?: string
  user?: UserSettings | false
  users?: (FurtherUserSettings | undefined)[]
  wifi?: WifiSettings | (WifiSettings | undefined)[] | false
  locale?: LocaleSettings
  overlays?: (OverlayEntry | undefined)[]
  labels?: Record<string, string | undefined>
}

export interface GroupSettings extends SharedSettings {
  role?: 'head' | 'manager' | 'worker'
  interface?: string
  gateway?: string
  dns?: (string | undefined)[]
}

export interface InterfaceSettings {
  address?: string
  gateway?: string
  dns?: (string | undefined)[]
  domain?: string
}

export interface RouterSettings {
  uplink?: string
  lan?: string
}

export interface NodeSettings extends GroupSettings {
  group?: string
  groups?: (string | undefined)[]
  address?: string
  interfaces?: Record<string, InterfaceSettings | undefined>
  mac?: string
  serial?: string
  clusterhat?: string
  router?: RouterSettings
}

export interface NetworkSettings {
  cidr?: string
  gateway?: string
  dns?: (string | undefined)[]
  domain?: string
  interface?: string
  dhcp?: 'proxy' | { from?: string; to?: string; lease?: string }
}

export interface JoinSettings {
  kind?: string
  head?: string
  by?: 'pull' | 'ssh-push'
}

/** A netboot server that is no node. */
export interface ServerSettings {
  address?: string
  interface?: string
}

export interface NetrootSettings {
  server?: string | ServerSettings
  layout?: 'serial' | 'mac'
  root?: RootModeWord
}

export interface ClusterFile extends SharedSettings {
  $schema?: string
  cluster?: string
  network?: NetworkSettings
  join?: JoinSettings
  netroot?: NetrootSettings
  groups?: Record<string, GroupSettings | undefined>
  nodes?: Record<string, NodeSettings | undefined>
}
