/**
 * Overlay roots as systemd mount units, and what the two servers must wait for.
 *
 * `index=on,nfs_export=on` make an overlay's file handles survive a remount.
 * No `uuid=`: kernels before 5.10 don't know it, and the fixed `fsid=` of the
 * export names the file system to its nodes. A root that can't be mounted
 * keeps no other node from booting: the NFS server wants the units, it does not
 * require them.
 *
 * Sources: systemd.mount(5), the kernel's filesystems/overlayfs.rst.
 */
import { overlayOptions } from '../netroot/root-mode.ts'
import type { OverlayMount, ServedCluster } from '../netroot/served.ts'
import { fileText, type ServerFile, UNIT_FOLDER } from './server-file.ts'
import { mountUnitName, overlayPath, unitText, unitWord } from './written-value.ts'

/** Every overlay that must be mounted: what nodes boot next, and what they may still be running on. */
export function overlaysOf({ nodes }: ServedCluster): OverlayMount[] {
  return nodes.flatMap(({ overlay, earlierOverlays = [] }) =>
    overlay === undefined ? earlierOverlays : [overlay, ...earlierOverlays],
  )
}

const optionsOf = ({ lower, upper, work }: OverlayMount): string =>
  overlayOptions({ lower: overlayPath(lower), upper: overlayPath(upper), work: overlayPath(work) })

export function renderMounts(served: ServedCluster): ServerFile[] {
  return overlaysOf(served).map((overlay) => ({
    path: `${UNIT_FOLDER}/${mountUnitName(overlay.merged)}`,
    mode: 0o644,
    content: fileText([
      '[Unit]',
      'Description=piimage: the root of a diskless node',
      'Before=nfs-server.service',
      `RequiresMountsFor=${unitWord(served.stateFolder)}`,
      '',
      '[Mount]',
      'What=overlay',
      `Where=${unitText(overlayPath(overlay.merged))}`,
      'Type=overlay',
      `Options=${unitText(optionsOf(overlay))}`,
    ]),
  }))
}

/** A drop-in for Debian's nfs-server.service. */
export function formatNfsDropIn(served: ServedCluster): string {
  const units = overlaysOf(served).map(({ merged }) => unitWord(mountUnitName(merged)))
  return fileText([
    '[Unit]',
    `RequiresMountsFor=${unitWord(served.stateFolder)}`,
    ...units.map((unit) => `Wants=${unit}\nAfter=${unit}`),
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    '# It cannot listen on an address that the interface does not have yet.',
    'Restart=on-failure',
    'RestartSec=10',
  ])
}

/** A drop-in for Debian's dnsmasq.service. */
export const formatDnsmasqDropIn = ({ tftpRoot }: ServedCluster, hasDns: boolean): string =>
  fileText([
    '[Unit]',
    `RequiresMountsFor=${unitWord(tftpRoot)}`,
    ...(hasDns
      ? []
      : [
          '',
          '[Service]',
          '# Debian would tell resolvconf of a name server here; this one answers no names.',
          'ExecStartPost=',
        ]),
  ])
