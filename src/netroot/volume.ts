/**
 * A node's volume for containers: Docker and containerd can't keep their layers
 * on NFS, so each node gets a sparse file with an ext4 file system in it.
 *
 * The file has an export of its own, because it outlives the root: a switch to
 * another edition keeps images and swarm membership. The node mounts that
 * export with the kernel's own client (`addr=` is what mount.nfs would add, and
 * some images don't have it), loop-mounts the file and binds one folder of it
 * to each place that needs it. systemd pulls all of that in before anything that
 * uses those places.
 *
 * Source: systemd.mount(5), systemd.unit(5) `RequiresMountsFor=`; nfs(5).
 */
import { dirname } from 'node:path'
import { features } from '../features/index.ts'
import { formatIni } from '../ini.ts'
import { dropIn, folder, type RootEdit, unit, wanted } from '../systems/root/root-edit.ts'
import { VOLUME_FILE } from './paths.ts'

/** By name: a feature that comes in between makes no other edition of a node. */
const stored = features.toSorted((a, b) => (a.name < b.name ? -1 : 1)).flatMap(({ storage }) => storage ?? [])

/** Folder in the volume → where the node has it. */
export const volumeFolders = stored.flatMap(({ folders }) => folders)

const users = stored.flatMap(({ units }) => units)

const STORAGE = '/var/lib/piimage/storage'
const VOLUME = '/var/lib/piimage/volume'

/** systemd's name of the unit that mounts a folder. */
const unitOf = (path: string): string =>
  `${path.slice(1).replaceAll('-', '\\x2d').replaceAll('/', '-')}.mount`

/**
 * @param exported the folder on the server that holds the volume file
 * @param overlays names of those of the node
 */
export function volumeEdits(serverIp: string, exported: string, overlays: readonly string[]): RootEdit[] {
  const own = features.flatMap(({ name, storage }) => (overlays.includes(name) ? (storage?.own ?? []) : []))
  const folders = [...volumeFolders, ...own]
  const targets = folders.map(({ target }) => target)
  const mounts = targets.map(unitOf)
  return [
    folder(STORAGE, 0o700),
    folder(VOLUME, 0o711),
    ...folders.map(({ target, mode }) => folder(target, mode)),
    mountUnit(STORAGE, {
      What: `${serverIp}:${exported}`,
      Type: 'nfs',
      Options: `vers=3,tcp,hard,nolock,addr=${serverIp}`,
    }),
    mountUnit(VOLUME, { What: `${STORAGE}/${VOLUME_FILE}`, Type: 'ext4', Options: 'loop,noatime,_netdev' }),
    ...folders.map(({ name, target }) =>
      mountUnit(target, { What: `${VOLUME}/${name}`, Type: 'none', Options: 'bind,_netdev' }),
    ),
    ...mounts.map((name) => wanted(name, 'remote-fs.target')),
    ...users.map((name) => dropIn(name, formatIni({ Unit: { RequiresMountsFor: targets.join(' ') } }))),
    // Without a volume the node must still become reachable.
    dropIn(
      'piimage-firstboot.service',
      formatIni({ Unit: { Wants: mounts.join(' '), After: mounts.join(' ') } }),
    ),
  ]
}

/** `_netdev` is for what systemd can't tell by its type: it goes before the network does. */
function mountUnit(where: string, mount: { What: string; Type: string; Options: string }): RootEdit {
  const { What, Type, Options } = mount
  return unit(
    unitOf(where),
    formatIni({
      Unit: {
        Description: `piimage: ${where}`,
        RequiresMountsFor: What.startsWith('/') ? dirname(What) : undefined,
      },
      Mount: { What, Where: where, Type, Options },
    }),
  )
}
