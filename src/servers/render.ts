/**
 * Everything that makes a machine serve a cluster's diskless nodes, rendered
 * whole: dnsmasq's settings, exports, mounts, and the order in which they start.
 *
 * Pure: the same cluster on the same machine gives the same bytes. ./apply.ts
 * writes them, ./remove.ts takes them away.
 */
import type { ServedCluster } from '../netroot/served.ts'
import { formatDnsmasq, formatReservations, hasDns, isEthernetNode, planDnsmasq } from './dnsmasq.ts'
import { formatExports, formatNfsConf, withinReach } from './exports.ts'
import { BARE_MACHINE, type Machine } from './machine.ts'
import { formatDnsmasqDropIn, formatNfsDropIn, renderMounts } from './mounts.ts'
import { renderFirewall } from './open-firewall.ts'
import {
  DNSMASQ_FILE,
  EXPORTS_FILE,
  fileText,
  LOGROTATE_FILE,
  NETROOT_LOG,
  NFS_CONF_FILE,
  RESERVATIONS_FILE,
  type ServerFile,
  UNIT_FOLDER,
} from './server-file.ts'

/**
 * @param machine what else the server does (./read-machine.ts)
 * @param openFirewall whether its firewall is opened, if it has one
 * @returns in the order they are written; none holds a secret
 * @throws {NetrootError} the cluster contradicts the machine, or itself
 * @throws {UsageError} a value that no file can carry
 */
export function renderServers(
  planned: ServedCluster,
  machine: Machine = BARE_MACHINE,
  openFirewall = false,
): ServerFile[] {
  const served = withinReach(planned)
  const file = (path: string, content: string): ServerFile => ({ path, mode: 0o644, content })
  const firewall = openFirewall ? machine.running?.firewall : undefined
  return [
    ...(served.nodes.some(isEthernetNode) ? renderDnsmasq(served, machine, file) : []),
    ...renderMounts(served),
    ...(firewall === undefined ? [] : renderFirewall(served, firewall)),
    file(`${UNIT_FOLDER}/nfs-server.service.d/piimage.conf`, formatNfsDropIn(served)),
    file(NFS_CONF_FILE, formatNfsConf(served, machine)),
    file(EXPORTS_FILE, formatExports(served)),
  ]
}

function renderDnsmasq(
  served: ServedCluster,
  machine: Machine,
  file: (path: string, content: string) => ServerFile,
): ServerFile[] {
  const plan = planDnsmasq(served, machine)
  return [
    ...(plan.reserved === undefined ? [] : [file(RESERVATIONS_FILE, formatReservations(plan.reserved))]),
    file(LOGROTATE_FILE, logrotate),
    file(`${UNIT_FOLDER}/dnsmasq.service.d/piimage.conf`, formatDnsmasqDropIn(served, hasDns(machine))),
    file(DNSMASQ_FILE, formatDnsmasq(served, plan, machine)),
  ]
}

/** The new log belongs to whom the old one did, because dnsmasq opens it as its own user. */
const logrotate = fileText([
  `${NETROOT_LOG} {`,
  '  weekly',
  '  rotate 4',
  '  compress',
  '  delaycompress',
  '  missingok',
  '  notifempty',
  '  create',
  '  postrotate',
  '    systemctl kill --kill-who=main -s USR2 dnsmasq.service 2>/dev/null || true',
  '  endscript',
  '}',
])
