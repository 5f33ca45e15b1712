/**
 * Images and overlays as systemd mount units, and what the two servers must wait
 * for.
 *
 * `index=on,nfs_export=on` make an overlay's file handles survive a remount.
 * No `uuid=`: kernels before 5.10 don't know it, and the fixed `fsid=` of the
 * export names the file system to its nodes. A root that can't be mounted
 * keeps no other node from booting: the NFS server wants the units, it does not
 * require them.
 *
 * Sources: systemd.mount(5), the kernel's filesystems/overlayfs.rst.
 */
import { formatIni, type Settings } from '../ini.ts'
import { imageOptions } from '../netroot/fs-image.ts'
import { overlayOptions } from '../netroot/root-modes/overlay.ts'
import type { ImageMount, OverlayMount, ServedCluster } from '../netroot/served.ts'
import { fileText, type ServerFile, UNIT_FOLDER } from './server-file.ts'
import { mountUnitName, overlayPath, plainPath, unitText, unitWord } from './written-value.ts'

/** Every overlay that must be mounted: what nodes boot next, and what they may still be running on. */
export function overlaysOf({ nodes }: ServedCluster): OverlayMount[] {
  return nodes.flatMap(({ overlay, earlierOverlays = [] }) =>
    overlay === undefined ? earlierOverlays : [overlay, ...earlierOverlays],
  )
}

/** Folders that are file systems of their own: all that may be exported. */
export const mountPointsOf = (served: ServedCluster): string[] => [
  ...imagesOf(served).map(({ folder }) => folder),
  ...overlaysOf(served).map(({ merged }) => merged),
]

const optionsOf = ({ lower, upper, work }: OverlayMount): string =>
  overlayOptions({ lower: overlayPath(lower), upper: overlayPath(upper), work: overlayPath(work) })

/** Every image that must be mounted, each once: all overlays of a generation have the same base. */
export function imagesOf({ nodes }: ServedCluster): ImageMount[] {
  const images = nodes.flatMap((node) => node.images ?? [])
  return [...new Map(images.map((image) => [image.folder, image])).values()]
}

/** In the order in which they can be mounted. */
export function renderMounts(served: ServedCluster): ServerFile[] {
  const unit = (where: string, after: readonly string[], mount: Settings): ServerFile => ({
    path: `${UNIT_FOLDER}/${mountUnitName(where)}`,
    mode: 0o644,
    content: iniFile({
      Unit: {
        Description: 'piimage: a file system of a diskless node',
        Before: 'nfs-server.service',
        RequiresMountsFor: after.map(unitWord).join(' '),
      },
      Mount: { Where: unitText(where), ...mount },
    }),
  })
  return [
    ...imagesOf(served).map(({ image, folder, writable }) =>
      unit(plainPath(folder), [served.stateFolder], {
        What: unitText(plainPath(image)),
        Type: 'ext4',
        Options: imageOptions(writable),
      }),
    ),
    ...overlaysOf(served).map((overlay) =>
      unit(overlayPath(overlay.merged), [overlay.lower, overlay.upper], {
        What: 'overlay',
        Type: 'overlay',
        Options: unitText(optionsOf(overlay)),
      }),
    ),
  ]
}

/** A drop-in for Debian's nfs-server.service. */
export function formatNfsDropIn(served: ServedCluster): string {
  const units = mountPointsOf(served).map((folder) => unitWord(mountUnitName(folder)))
  return iniFile({
    Unit: [
      { RequiresMountsFor: unitWord(served.stateFolder) },
      ...units.map((unit) => ({ Wants: unit, After: unit })),
      { StartLimitIntervalSec: '0' },
    ],
    Service: {
      '#': 'It cannot listen on an address that the interface does not have yet.',
      Restart: 'on-failure',
      RestartSec: '10',
    },
  })
}

/** A drop-in for Debian's dnsmasq.service. */
export const formatDnsmasqDropIn = ({ tftpRoot }: ServedCluster, hasDns: boolean): string =>
  iniFile({
    Unit: { RequiresMountsFor: unitWord(tftpRoot) },
    Service: hasDns
      ? undefined
      : {
          '#': 'Debian would tell resolvconf of a name server here; this one answers no names.',
          ExecStartPost: '',
        },
  })

const iniFile = (sections: Parameters<typeof formatIni>[0]): string =>
  fileText([formatIni(sections).trimEnd()])
