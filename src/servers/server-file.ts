/** The files that make a machine a netboot server, as values: what is written, what is shown, what is undone. */

export interface ServerFile {
  /** Absolute, on the server; `--prefix` is put before it when it is written. */
  path: string
  /** Permission bits. */
  mode: number
  content: string
}

export const DNSMASQ_FILE = '/etc/dnsmasq.d/piimage-netroot.conf'
/** Outside dnsmasq.d, where it would be read as settings. dnsmasq reads it again on SIGHUP. */
export const RESERVATIONS_FILE = '/etc/piimage/netroot/dhcp-hosts'
export const EXPORTS_FILE = '/etc/exports.d/piimage.exports'
export const NFS_CONF_FILE = '/etc/nfs.conf.d/piimage.conf'
export const LOGROTATE_FILE = '/etc/logrotate.d/piimage-netroot'
/** Units and what is said about other people's units. */
export const UNIT_FOLDER = '/etc/systemd/system'

/**
 * What dnsmasq says about every DHCP packet and every file it sends, with lines
 * as in syslog (`Nov 20 14:15:17 dnsmasq-tftp[812]: sent …`); turned over by
 * logrotate, week by week.
 */
export const NETROOT_LOG = '/var/log/piimage-netroot.log'

/** First lines of every file, so that whoever finds it knows whose it is and how to be rid of it. */
export const HEADING = [
  '# Made by piimage netroot, and written whole whenever that runs.',
  '# Changes belong in the cluster file; `piimage netroot remove` takes this away.',
]

/** Lines → a file's text; undefined ones are left out. */
export const fileText = (lines: readonly (string | undefined)[]): string =>
  [...HEADING, ...lines.filter((line) => line !== undefined)].map((line) => `${line}\n`).join('')
