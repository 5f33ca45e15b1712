/**
 * The machine that is to serve, as it is found: whose settings lie beside ours,
 * and what its network looks like. Read by ./read-machine.ts, judged by
 * ./obstacles.ts, respected by ./render.ts.
 */
import type { DnsmasqSetting } from './dnsmasq-settings.ts'
import type { InputChain } from './packet-filter.ts'

export interface Machine {
  /** What dnsmasq is told by files that are not ours; files that say nothing are left out. */
  dnsmasq: { file: string; settings: DnsmasqSetting[] }[]
  /** Files with exports that are not ours. */
  exports: string[]
  /** undefined: not looked at, because the files are for another machine (`--prefix`). */
  running?: RunningMachine
}

export interface RunningMachine {
  interfaces: { name: string; addresses: { ip: string; prefix: number }[] }[]
  /** Interfaces that have a default route. */
  uplinks: string[]
  listeners: Listener[]
  /** Whether the kernel has an NFS server. */
  nfsServer: boolean
  /** Bytes that files in the state folder may still take. */
  freeBytes: number
  /** undefined: there is none, or it is not to be seen by this user. */
  firewall?: Firewall
}

export interface Listener {
  protocol: 'tcp' | 'udp'
  /** `*`, `0.0.0.0`, `10.3.50.1`, `[::]`. */
  address: string
  /** The one interface it hears. */
  interface?: string
  port: number
  /** undefined: the kernel's own, or not to be seen by this user. */
  program?: string
  /** Whether it is the dnsmasq whose settings piimage writes. */
  isOurs: boolean
}

/** Who keeps the rules: what its own commands don't know is lost when it loads them again. */
export type FirewallManager = 'nftables' | 'iptables' | 'ufw' | 'firewalld'

export interface Firewall {
  manager: FirewallManager
  /** All that packets for this machine pass and that can shut something out. */
  inputs: InputChain[]
  /** firewalld's, of the interface that faces the cluster. */
  zone?: string
}

/** A machine that has nothing else to do. */
export const BARE_MACHINE: Machine = { dnsmasq: [], exports: [] }
