/**
 * Drives on macOS, as diskutil and the I/O Registry tell them. Pure.
 *
 * `diskutil list -plist` has every disk with its partitions and mount points;
 * `diskutil info -plist diskN` adds bus, model and what kind of drive it is;
 * `diskutil info -plist /` is a second witness of what the system runs from.
 * An APFS container is a disk of its own ("synthesized") that stands on
 * partitions or whole disks, its physical stores: its volumes count as mounts
 * of the drives under them. RAID and CoreStorage sets are disks of their own as
 * well, and only their members' partition types give them away.
 * macOS does not tell the serial of a card or stick this way.
 */
import type { Bus, Drive, Mount } from './drive.ts'
import type { PlistValue } from './plist.ts'

type Dict = { [key: string]: PlistValue }

/** `diskutil info -plist` of a whole disk by its identifier, or of `/`; undefined: it told nothing. */
type InfoOf = (id: string) => PlistValue | undefined

export interface MacSurroundings {
  /** `ioreg -a -r -c IOMedia -d 1` */
  media?: PlistValue
  /** Whether there is a folder; tells a Time Machine volume. */
  exists?: (path: string) => boolean
  /** Disk images count as drives: for tests of piimage on a Mac only. */
  acceptDiskImages?: boolean
}

/** Identifiers of the whole disks in `diskutil list -plist`, APFS containers left out. */
export const wholeMacDisks = (list: PlistValue): string[] =>
  disksIn(list)
    .filter((disk) => !isContainer(disk))
    .flatMap((disk) => text(disk.DeviceIdentifier) ?? [])

/**
 * Every whole disk that is not an APFS container, in diskutil's order.
 * @param list `diskutil list -plist`
 */
export function describeMacDrives(list: PlistValue, infoOf: InfoOf, around: MacSurroundings = {}): Drive[] {
  const disks = disksIn(list)
  const system = systemDisks(disks, asDict(infoOf('/')))
  return disks
    .filter((disk) => !isContainer(disk))
    .flatMap((disk) =>
      describe(disk, asDict(infoOf(text(disk.DeviceIdentifier) ?? '')), disks, system, around),
    )
}

/** What the running system stands on: whole disks; undefined: neither witness tells. */
type SystemDisks = ReadonlySet<string> | undefined

function systemDisks(disks: readonly Dict[], root: Dict): SystemDisks {
  const found = new Set<string>()
  let isWhole = false
  const add = (stores: readonly (string | undefined)[]) => {
    for (const store of stores) if (store !== undefined) found.add(wholeOf(store))
    if (stores.length > 0 && !stores.includes(undefined)) isWhole = true
  }
  add(storesOf(root))
  const parent = text(root.ParentWholeDisk)
  for (const disk of disks) {
    const id = text(disk.DeviceIdentifier)
    const isParent = id !== undefined && (id === parent || id === text(root.APFSContainerReference))
    if (!isParent && !mountsOn(disk).some(({ target }) => target === '/')) continue
    if (id !== undefined) found.add(id)
    // A file system on a partition, without a container between.
    if (isPartitioned(disk) && id !== undefined) add([id])
    else add(storesOf(disk))
  }
  return isWhole ? found : undefined
}

function describe(
  disk: Dict,
  info: Dict,
  disks: readonly Dict[],
  system: SystemDisks,
  around: MacSurroundings,
): Drive[] {
  const id = text(disk.DeviceIdentifier)
  if (id === undefined || !/^disk\d+$/.test(id)) return []
  const partitions = dicts(disk.Partitions)
  const ownIds = [id, ...partitions.flatMap((partition) => text(partition.DeviceIdentifier) ?? [])]
  const containers = disks.filter((other) => storesOf(other).some((store) => ownIds.includes(store ?? '')))
  const mounts = [disk, ...containers].flatMap(mountsOn)
  const bus = text(info.BusProtocol)
  const removableMedia = flag(info.RemovableMedia) ?? flag(info.Removable)
  const isImage = bus === 'Disk Image' || bus === 'Virtual Interface'
  const isAccepted = isImage && around.acceptDiskImages === true
  const contents = [text(disk.Content), ...partitions.map((partition) => text(partition.Content))]
  const medium = dicts(around.media).find((entry) => text(entry['BSD Name']) === id)
  return [
    {
      path: `/dev/${id}`,
      size: Number(info.TotalSize ?? info.Size ?? disk.Size ?? 0),
      sectorSize: Number(info.DeviceBlockSize ?? 0),
      model: text(info.MediaName),
      bus: busOf(bus),
      removable: removableMedia === true || flag(info.RemovableMediaOrExternalDevice) === true,
      internal: flag(info.Internal) === true && removableMedia !== true && bus !== 'Secure Digital',
      virtual: !isAccepted && (isImage || text(info.VirtualOrPhysical) === 'Virtual'),
      autoUnmount: removableMedia === true,
      unknown: unknownFacts(id, disk, info, system, removableMedia),
      readOnly: flag(info.WritableMedia) === false,
      label: isPartitioned(disk) ? undefined : text(disk.VolumeName),
      fileSystem: isPartitioned(disk) ? undefined : text(disk.Content),
      partitions: partitions.map((partition) => ({
        path: `/dev/${text(partition.DeviceIdentifier)}`,
        size: Number(partition.Size ?? 0),
        label: text(partition.VolumeName),
        fileSystem: text(partition.Content),
      })),
      mounts,
      holders: [],
      memberOf: [
        ...containers.map(nameOfContainer),
        ...setsOf(contents, info, containers),
        ...timeMachine(mounts, around),
      ],
      writers: [],
      swap: mounts.some(({ target }) => /^(\/System\/Volumes|\/private\/var)\/(VM|vm)$/.test(target)),
      system:
        system?.has(id) === true || mounts.some(({ target }) => /^\/($|System\/|private\/)/.test(target)),
      sequence: medium?.IORegistryEntryID === undefined ? undefined : String(medium.IORegistryEntryID),
    },
  ]
}

/** What decides and was not told, by diskutil's own keys. */
function unknownFacts(
  id: string,
  disk: Dict,
  info: Dict,
  system: SystemDisks,
  removableMedia: boolean | undefined,
): string[] {
  const unknown = [
    ['the disk that the system runs from', system],
    ['Internal', flag(info.Internal)],
    ['RemovableMedia', removableMedia],
    ['BusProtocol', text(info.BusProtocol)],
    ['WritableMedia', flag(info.WritableMedia)],
    ['DeviceBlockSize', info.DeviceBlockSize],
    ['TotalSize', info.TotalSize ?? info.Size ?? disk.Size],
    ['VirtualOrPhysical', physicalOf(info, removableMedia)],
    ['DeviceIdentifier', text(info.DeviceIdentifier) === id ? id : undefined],
  ] as const
  return unknown.flatMap(([name, value]) => (value === undefined ? [name] : []))
}

/** Some readers are `Unknown`: with a medium that can be taken out, that is a drive all the same. */
function physicalOf(info: Dict, removableMedia: boolean | undefined): string | undefined {
  const kind = text(info.VirtualOrPhysical)
  return kind === 'Unknown' && removableMedia !== true ? undefined : kind
}

function nameOfContainer(container: Dict): string {
  const names = dicts(container.APFSVolumes).flatMap((volume) => text(volume.VolumeName) ?? [])
  return `the APFS container ${text(container.DeviceIdentifier) ?? ''}${names.length === 0 ? '' : ` (${names.join(', ')})`}`
}

/** RAID and CoreStorage, members and sets, and an APFS partition whose container is not told. */
function setsOf(
  contents: readonly (string | undefined)[],
  info: Dict,
  containers: readonly Dict[],
): string[] {
  const has = (pattern: RegExp) => contents.some((content) => pattern.test(content ?? ''))
  return [
    ...(has(/^Apple_RAID/) || flag(info.RAIDSlice) === true || flag(info.RAIDMaster) === true
      ? ['a RAID set']
      : []),
    ...(has(/^Apple_CoreStorage/) || info.CoreStoragePVs !== undefined ? ['a CoreStorage volume'] : []),
    ...(has(/^Apple_APFS(_ISC|_Recovery)?$/) && containers.length === 0 ? ['an APFS container'] : []),
  ]
}

function timeMachine(mounts: readonly Mount[], { exists = () => false }: MacSurroundings): string[] {
  const found = mounts.find(({ target }) => target !== '/' && exists(`${target}/Backups.backupdb`))
  return found === undefined ? [] : [`Time Machine, which keeps its backups on it (${found.target})`]
}

/** APFS containers have stores; older systems leave the key out and tell it by the content's type. */
const isContainer = (disk: Dict): boolean =>
  storesOf(disk).length > 0 ||
  dicts(disk.APFSVolumes).length > 0 ||
  /^(Apple_APFS_Container|EF57347C-0000-11AA-AA11-00306543ECAC)$/.test(text(disk.Content) ?? '')

const isPartitioned = (disk: Dict): boolean => /_partition_scheme$/.test(text(disk.Content) ?? '')

/** Identifiers of a container's physical stores; an entry that does not tell its own is undefined. */
function storesOf(disk: Dict): (string | undefined)[] {
  const stores = disk.APFSPhysicalStores
  if (!Array.isArray(stores)) return []
  return stores.map((store) =>
    typeof store === 'string'
      ? store
      : (text(asDict(store).DeviceIdentifier) ?? text(asDict(store).APFSPhysicalStore)),
  )
}

const wholeOf = (id: string): string => /^disk\d+/.exec(id)?.[0] ?? id

/** Mount points of a disk, its partitions and its volumes, snapshots included. */
const mountsOn = (disk: Dict): Mount[] =>
  [disk, ...dicts(disk.Partitions), ...dicts(disk.APFSVolumes)].flatMap((volume) => {
    const source = `/dev/${text(volume.DeviceIdentifier)}`
    const snapshots = dicts(volume.MountedSnapshots).map((snapshot) => text(snapshot.SnapshotMountPoint))
    return [text(volume.MountPoint), ...snapshots].flatMap((target) =>
      target === undefined ? [] : [{ source, target }],
    )
  })

const BUSES: Record<string, Bus> = {
  USB: 'usb',
  'Secure Digital': 'mmc',
  'PCI-Express': 'nvme',
  'Apple Fabric': 'nvme',
  SATA: 'sata',
  'Disk Image': 'loop',
}

const busOf = (protocol: string | undefined): Bus => BUSES[protocol ?? ''] ?? 'other'

const disksIn = (list: PlistValue): Dict[] => dicts(asDict(list).AllDisksAndPartitions)
const asDict = (value: PlistValue | undefined): Dict =>
  typeof value === 'object' && !Array.isArray(value) ? value : {}
const dicts = (value: PlistValue | undefined): Dict[] => (Array.isArray(value) ? value.map(asDict) : [])
const text = (value: PlistValue | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined
const flag = (value: PlistValue | undefined): boolean | undefined =>
  typeof value === 'boolean' ? value : undefined
