/**
 * Drives on macOS, as diskutil tells them.
 *
 * `diskutil list -plist` has every disk with its partitions and mount points;
 * `diskutil info -plist diskN` adds bus, model and sector size. An APFS
 * container is a disk of its own ("synthesized") that stands on a partition:
 * its volumes count as mounts of the drive that partition is on.
 * macOS does not tell the serial of a card or stick this way.
 */
import type { Bus, Drive, Mount } from './drive.ts'
import type { PlistValue } from './plist.ts'

type Dict = { [key: string]: PlistValue }

/**
 * @param list `diskutil list -plist`
 * @param infoOf `diskutil info -plist` of a whole disk, by its identifier
 */
export function describeMacDrives(list: PlistValue, infoOf: (id: string) => PlistValue): Drive[] {
  const disks = dicts(asDict(list).AllDisksAndPartitions)
  return disks
    .filter((disk) => dicts(disk.APFSPhysicalStores).length === 0)
    .map((disk) => describeMacDrive(disk, disks, asDict(infoOf(text(disk.DeviceIdentifier) ?? ''))))
}

/** Identifiers of the whole disks in `diskutil list -plist`, APFS containers left out. */
export function wholeMacDisks(list: PlistValue): string[] {
  return dicts(asDict(list).AllDisksAndPartitions)
    .filter((disk) => dicts(disk.APFSPhysicalStores).length === 0)
    .map((disk) => text(disk.DeviceIdentifier) ?? '')
}

function describeMacDrive(disk: Dict, disks: Dict[], info: Dict): Drive {
  const id = text(disk.DeviceIdentifier) ?? ''
  const partitions = dicts(disk.Partitions)
  const ownIds = [id, ...partitions.map((partition) => text(partition.DeviceIdentifier) ?? '')]
  const containers = disks.filter((other) =>
    dicts(other.APFSPhysicalStores).some((store) => ownIds.includes(text(store.DeviceIdentifier) ?? '')),
  )
  const mounts = [disk, ...partitions, ...containers.flatMap((other) => dicts(other.APFSVolumes))].flatMap(
    mountsOfVolume,
  )
  const model = text(info.MediaName)
  return {
    path: `/dev/${id}`,
    size: Number(info.TotalSize ?? info.Size ?? disk.Size ?? 0),
    sectorSize: Number(info.DeviceBlockSize ?? 512),
    model,
    bus: busOf(text(info.BusProtocol)),
    removable: info.RemovableMediaOrExternalDevice === true || info.RemovableMedia === true,
    readOnly: info.WritableMedia === false,
    partitions: partitions.map((partition) => {
      const label = text(partition.VolumeName)
      const fileSystem = text(partition.Content)
      return {
        path: `/dev/${text(partition.DeviceIdentifier)}`,
        size: Number(partition.Size ?? 0),
        label,
        fileSystem,
      }
    }),
    mounts,
    holders: [],
    swap: mounts.some(({ target }) => target === '/System/Volumes/VM'),
    system: mounts.some(({ target }) => target === '/' || target.startsWith('/System/')),
  }
}

function mountsOfVolume(volume: Dict): Mount[] {
  const source = `/dev/${text(volume.DeviceIdentifier)}`
  const snapshots = dicts(volume.MountedSnapshots).map(({ SnapshotMountPoint }) => text(SnapshotMountPoint))
  return [text(volume.MountPoint), ...snapshots].flatMap((target) =>
    target === undefined ? [] : [{ source, target }],
  )
}

const BUSES: Record<string, Bus> = {
  USB: 'usb',
  'Secure Digital': 'mmc',
  'PCI-Express': 'nvme',
  'Apple Fabric': 'nvme',
  SATA: 'sata',
  'Disk Image': 'loop',
}

const busOf = (protocol: string | undefined): Bus => BUSES[protocol ?? ''] ?? 'other'

const asDict = (value: PlistValue | undefined): Dict =>
  typeof value === 'object' && !Array.isArray(value) ? value : {}
const dicts = (value: PlistValue | undefined): Dict[] => (Array.isArray(value) ? value.map(asDict) : [])
const text = (value: PlistValue | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined
