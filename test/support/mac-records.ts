/**
 * What diskutil says of Macs, in the forms it has had from macOS 10.13 to 26.
 *
 * No Mac was at hand. `recorded` says which keys, values and sizes were taken from
 * records that others published; the rest is put together from those forms.
 */
import type { PlistValue } from '../../src/drives/plist.ts'

export type Dict = { [key: string]: PlistValue }

export interface Mac {
  name: string
  /** Where published records are the source, and of what. */
  recorded?: string
  list: Dict
  /** By identifier, and of `/`. */
  infos: Map<string, Dict>
}

interface Part {
  content: string
  size: number
  name?: string
  mount?: string
}

const plain = (dict: Record<string, PlistValue | undefined>): Dict =>
  Object.fromEntries(
    Object.entries(dict).filter((entry): entry is [string, PlistValue] => entry[1] !== undefined),
  )

const identified = (DeviceIdentifier: string): Dict => ({ DeviceIdentifier })

/** A disk with a partition table, in `diskutil list`. */
export function disk(id: string, size: number, parts: Part[], content = 'GUID_partition_scheme'): Dict {
  return {
    Content: content,
    DeviceIdentifier: id,
    OSInternal: false,
    Partitions: parts.map((part, index) =>
      plain({
        Content: part.content,
        DeviceIdentifier: `${id}s${index + 1}`,
        DiskUUID: '00000000-0000-0000-0000-000000000000',
        MountPoint: part.mount,
        Size: part.size,
        VolumeName: part.name,
      }),
    ),
    Size: size,
  }
}

export interface Volume {
  name: string
  mount?: string
  /** Where its sealed snapshot is mounted. */
  snapshot?: string
}

/** An APFS container, in `diskutil list`. */
export const container = (
  id: string,
  size: number,
  stores: string[],
  volumes: Volume[],
  content?: string,
): Dict =>
  plain({
    APFSPhysicalStores: stores.map(identified),
    APFSVolumes: volumes.map(({ name, mount, snapshot }, index) =>
      plain({
        CapacityInUse: 1000,
        DeviceIdentifier: `${id}s${index + 1}`,
        MountPoint: mount,
        MountedSnapshots:
          snapshot === undefined
            ? undefined
            : [{ Sealed: 'Yes', SnapshotBSD: `${id}s${index + 1}s1`, SnapshotMountPoint: snapshot }],
        OSInternal: false,
        Size: size,
        VolumeName: name,
      }),
    ),
    Content: content,
    DeviceIdentifier: id,
    OSInternal: false,
    Partitions: [],
    Size: size,
  })

/** `diskutil info` of a whole disk. */
export const info = (
  id: string,
  bus: string,
  size: number,
  media: string,
  more: Record<string, PlistValue | undefined> = {},
): Dict =>
  plain({
    BusProtocol: bus,
    Content: '',
    DeviceBlockSize: 512,
    DeviceIdentifier: id,
    DeviceNode: `/dev/${id}`,
    Ejectable: true,
    IOKitSize: size,
    IORegistryEntryName: `${media} Media`,
    Internal: false,
    MediaName: media,
    MediaType: 'Generic',
    MountPoint: '',
    OSInternalMedia: false,
    ParentWholeDisk: id,
    RAIDMaster: false,
    RAIDSlice: false,
    Removable: true,
    RemovableMedia: true,
    RemovableMediaOrExternalDevice: true,
    Size: size,
    SystemImage: false,
    TotalSize: size,
    VirtualOrPhysical: 'Physical',
    VolumeName: '',
    WholeDisk: true,
    Writable: true,
    WritableMedia: true,
    ...more,
  })

const builtIn = {
  Ejectable: false,
  Internal: true,
  Removable: false,
  RemovableMedia: false,
  RemovableMediaOrExternalDevice: false,
}
const external = { Removable: false, RemovableMedia: false }

/** `diskutil info -plist /` */
export const rootInfo = (parent: string, stores: string[]): Dict => ({
  APFSContainerReference: parent,
  APFSPhysicalStores: stores.map((APFSPhysicalStore) => ({ APFSPhysicalStore })),
  DeviceIdentifier: `${parent}s1s1`,
  MountPoint: '/',
  ParentWholeDisk: parent,
  VirtualOrPhysical: 'Virtual',
})

export function mac(name: string, disks: Dict[], infos: Dict[], root?: Dict, recorded?: string): Mac {
  const ids = disks.map(({ DeviceIdentifier }) => DeviceIdentifier as string)
  return {
    name,
    recorded,
    list: { AllDisks: ids, AllDisksAndPartitions: disks, VolumesFromDisks: [], WholeDisks: ids },
    infos: new Map([
      ...infos.map((dict): [string, Dict] => [dict.DeviceIdentifier as string, dict]),
      ...(root === undefined ? [] : ([['/', root]] as [string, Dict][])),
    ]),
  }
}

const bootfs = (mount?: string): Part => ({
  content: 'Windows_FAT_32',
  size: 536870912,
  name: 'bootfs',
  mount,
})
const rootfs: Part = { content: 'Linux', size: 5234491392 }
export const piCard = (id: string, size: number, mount?: string): Dict =>
  disk(id, size, [bootfs(mount), rootfs], 'FDisk_partition_scheme')

/** The internal SSD of a Mac with Apple silicon, and the containers on it. */
export function appleSilicon(size = 500277792768): { disks: Dict[]; infos: Dict[]; root: Dict } {
  const main = size - 5892997111
  return {
    disks: [
      disk('disk0', size, [
        { content: 'Apple_APFS_ISC', size: 524288000 },
        { content: 'Apple_APFS', size: main },
        { content: 'Apple_APFS_Recovery', size: 5368664064 },
      ]),
      container(
        'disk1',
        524288000,
        ['disk0s1'],
        [
          { name: 'iSCPreboot', mount: '/System/Volumes/iSCPreboot' },
          { name: 'xART', mount: '/System/Volumes/xarts' },
        ],
      ),
      container('disk2', 5368664064, ['disk0s3'], [{ name: 'Recovery' }]),
      container(
        'disk3',
        main,
        ['disk0s2'],
        [
          { name: 'Macintosh HD', snapshot: '/' },
          { name: 'Preboot', mount: '/System/Volumes/Preboot' },
          { name: 'Data', mount: '/System/Volumes/Data' },
          { name: 'VM', mount: '/System/Volumes/VM' },
        ],
      ),
    ],
    infos: [info('disk0', 'Apple Fabric', size, 'APPLE SSD AP0512R', { ...builtIn, DeviceBlockSize: 4096 })],
    root: rootInfo('disk3', ['disk0s2']),
  }
}

/** The internal SSD of an Intel Mac. */
function intel(size = 500107862016, bus = 'PCI-Express'): { disks: Dict[]; infos: Dict[]; root: Dict } {
  const main = size - 314572800 - 24576
  return {
    disks: [
      disk('disk0', size, [
        { content: 'EFI', size: 314572800, name: 'EFI' },
        { content: 'Apple_APFS', size: main },
      ]),
      container(
        'disk1',
        main,
        ['disk0s2'],
        [
          { name: 'Macintosh HD - Data', mount: '/System/Volumes/Data' },
          { name: 'Preboot', mount: '/System/Volumes/Preboot' },
          { name: 'Recovery' },
          { name: 'VM', mount: '/System/Volumes/VM' },
          { name: 'Macintosh HD', snapshot: '/' },
        ],
      ),
    ],
    infos: [info('disk0', bus, size, 'APPLE SSD AP0512M', { ...builtIn, DeviceBlockSize: 4096 })],
    root: rootInfo('disk1', ['disk0s2']),
  }
}

type Base = ReturnType<typeof appleSilicon>
const withDisks = (name: string, base: Base, disks: Dict[], infos: Dict[], recorded?: string): Mac =>
  mac(name, [...base.disks, ...disks], [...base.infos, ...infos], base.root, recorded)

const slot = (id: string, size: number, more = {}) =>
  info(id, 'Secure Digital', size, 'Built In SDXC Reader', { Internal: true, ...more })
const reader = (id: string, size: number, more = {}) => info(id, 'USB', size, 'STORAGE DEVICE', more)
const usbSsd = (id: string, size: number, media = 'Portable SSD T7', more = {}) =>
  info(id, 'USB', size, media, { ...external, ...more })
const efi: Part = { content: 'EFI', size: 209715200, name: 'EFI' }

/** What each drive of a machine is: `ok`, or the start of a reason (see macos-lists.test.ts). */
export interface JudgedMac {
  mac: Mac
  verdicts: Record<string, string>
  /** Also with --unmount. */
  unmounting?: Record<string, string>
}

const bootedElsewhere = mac(
  'Intel, started from an external SSD, internal volumes in /Volumes',
  [
    disk('disk0', 251000193024, [
      { content: 'EFI', size: 314572800, name: 'EFI' },
      { content: 'Apple_APFS', size: 250685575168 },
    ]),
    container(
      'disk1',
      250685575168,
      ['disk0s2'],
      [
        { name: 'Macintosh HD', mount: '/Volumes/Macintosh HD' },
        { name: 'Macintosh HD - Data', mount: '/Volumes/Macintosh HD - Data' },
      ],
    ),
    disk('disk2', 128035676160, [efi, { content: 'Apple_APFS', size: 127825944576 }]),
    container(
      'disk3',
      127825944576,
      ['disk2s2'],
      [
        { name: 'System', snapshot: '/' },
        { name: 'Data', mount: '/System/Volumes/Data' },
        { name: 'VM', mount: '/System/Volumes/VM' },
      ],
    ),
  ],
  [info('disk0', 'PCI-Express', 251000193024, 'APPLE SSD AP0256M', builtIn), usbSsd('disk2', 128035676160)],
  rootInfo('disk3', ['disk2s2']),
  "the size of Apple's 256 GB SSDs",
)

const bootedFromStick = mac(
  'Intel, started from a USB stick',
  [
    disk('disk0', 251000193024, [{ content: 'Apple_HFS', size: 250685575168, name: 'Old' }]),
    disk('disk2', 61530439680, [efi, { content: 'Apple_APFS', size: 61320724480 }]),
    container(
      'disk3',
      61320724480,
      ['disk2s2'],
      [
        { name: 'System', snapshot: '/' },
        { name: 'VM', mount: '/System/Volumes/VM' },
      ],
    ),
    piCard('disk4', 31914983424),
  ],
  [
    info('disk0', 'SATA', 251000193024, 'APPLE SSD SM0256F', builtIn),
    info('disk2', 'USB', 61530439680, 'Ultra'),
    reader('disk4', 31914983424),
  ],
  rootInfo('disk3', ['disk2s2']),
)

const fusionOutside = mac(
  'Apple silicon, started from a Fusion pair of two external drives',
  [
    disk('disk4', 121332826112, [efi, { content: 'Apple_APFS', size: 121123069952 }]),
    disk('disk5', 250059350016, [efi, { content: 'Apple_APFS', size: 249849593856 }]),
    container(
      'disk6',
      370972663808,
      ['disk5s2', 'disk4s2'],
      [
        { name: 'Fusion', snapshot: '/' },
        { name: 'Data', mount: '/System/Volumes/Data' },
      ],
    ),
  ],
  [usbSsd('disk4', 121332826112), usbSsd('disk5', 250059350016, 'Backup+')],
  rootInfo('disk6', ['disk5s2', 'disk4s2']),
)

const virtualBox = mac(
  'a virtual machine with HFS+, and a second SATA disk',
  [
    disk('disk0', 42948853248, [
      efi,
      { content: 'Apple_HFS', size: 42089095168, name: 'OSX', mount: '/' },
      { content: 'Apple_Boot', size: 650002432, name: 'Recovery HD' },
    ]),
    disk('disk1', 8589934592, [{ content: 'Windows_FAT_32', size: 8589000000, name: 'DATA' }]),
  ],
  [
    info('disk0', 'SATA', 42948853248, 'VBOX HARDDISK', builtIn),
    info('disk1', 'SATA', 8589934592, 'VBOX HARDDISK', builtIn),
  ],
  { DeviceIdentifier: 'disk0s2', MountPoint: '/', ParentWholeDisk: 'disk0' },
  'list and info of disk0, in the tests of a rescue tool (2017)',
)

/** Machines for the property test: which disks the system stands on. */
export const systems: { mac: Mac; disks: string[] }[] = [
  { mac: withDisks('Apple silicon', appleSilicon(), [], []), disks: ['disk0'] },
  { mac: withDisks('Intel', intel(), [], []), disks: ['disk0'] },
  { mac: bootedElsewhere, disks: ['disk2'] },
  { mac: bootedFromStick, disks: ['disk2'] },
  { mac: fusionOutside, disks: ['disk4', 'disk5'] },
  { mac: virtualBox, disks: ['disk0'] },
]

export const macs: JudgedMac[] = [
  {
    mac: withDisks(
      '26 M1 Pro, card in the slot, mounted',
      appleSilicon(),
      [piCard('disk4', 127999672320, '/Volumes/bootfs')],
      [slot('disk4', 127999672320)],
      "bus, location, model and size of the slot, in a tool's validation report (26.6)",
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '26 M1 Pro, card in the slot, not mounted',
      appleSilicon(),
      [piCard('disk4', 127999672320)],
      [slot('disk4', 127999672320)],
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '26 M1 Pro, locked card in the slot',
      appleSilicon(),
      [piCard('disk4', 31914983424, '/Volumes/bootfs')],
      [slot('disk4', 31914983424, { Writable: false, WritableMedia: false })],
    ),
    verdicts: { disk0: 'system', disk4: 'write-protected' },
  },
  {
    mac: withDisks(
      '15 M2, a 256 GB card in the slot, told by Removable alone',
      appleSilicon(),
      [disk('disk10', 255865241600, [], 'FDisk_partition_scheme')],
      [
        slot('disk10', 255865241600, {
          RemovableMedia: undefined,
          RemovableMediaOrExternalDevice: undefined,
        }),
      ],
      "keys and values of the slot, in a drive monitor's tests",
    ),
    verdicts: { disk0: 'system', disk10: 'ok' },
  },
  {
    mac: withDisks(
      '15 M2, USB reader, card mounted',
      appleSilicon(),
      [piCard('disk4', 31914983424, '/Volumes/bootfs')],
      [reader('disk4', 31914983424)],
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '15 M2, USB reader, card as sold, not mounted',
      appleSilicon(),
      [
        disk(
          'disk4',
          127865454592,
          [{ content: 'Windows_NTFS', size: 127848677376, name: 'Untitled' }],
          'FDisk_partition_scheme',
        ),
      ],
      [reader('disk4', 127865454592)],
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '15 M2, two cards in a double reader',
      appleSilicon(),
      [piCard('disk4', 31914983424, '/Volumes/bootfs'), piCard('disk5', 31914983424, '/Volumes/bootfs 1')],
      [reader('disk4', 31914983424), reader('disk5', 31914983424)],
    ),
    verdicts: { disk0: 'system', disk4: 'ok', disk5: 'ok' },
  },
  {
    mac: withDisks(
      '14 M3, USB stick',
      appleSilicon(),
      [
        disk(
          'disk4',
          30784094208,
          [{ content: 'DOS_FAT_32', size: 30784094208, name: 'UNTITLED', mount: '/Volumes/UNTITLED' }],
          'FDisk_partition_scheme',
        ),
      ],
      [info('disk4', 'USB', 30784094208, 'SanDisk 3.2Gen1')],
      'form of a stick with one FAT, in several tools (13 to 26)',
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '14 M3, USB stick without a partition table',
      appleSilicon(),
      [
        {
          Content: '',
          DeviceIdentifier: 'disk7',
          MountPoint: '/Volumes/SUPERFLOPPY',
          OSInternal: false,
          Size: 33554432,
          VolumeName: 'SUPERFLOPPY',
        },
      ],
      [info('disk7', 'USB', 33554432, 'Cruzer')],
      'the list entry, in the tests of a camera tool',
    ),
    verdicts: { disk0: 'system', disk7: 'ok' },
  },
  {
    mac: withDisks(
      '14 M3, USB stick formatted APFS',
      appleSilicon(),
      [
        disk('disk4', 61530439680, [efi, { content: 'Apple_APFS', size: 61320724480 }]),
        container('disk5', 61320724480, ['disk4s2'], [{ name: 'Stick', mount: '/Volumes/Stick' }]),
      ],
      [info('disk4', 'USB', 61530439680, 'Ultra')],
    ),
    verdicts: { disk0: 'system', disk4: 'APFS container disk5 (Stick)' },
  },
  {
    mac: withDisks(
      '14 M3, an APFS container on a whole stick',
      appleSilicon(),
      [
        {
          Content: 'Apple_APFS',
          DeviceIdentifier: 'disk4',
          OSInternal: false,
          Partitions: [],
          Size: 61530439680,
        },
        container('disk5', 61530439680, ['disk4'], [{ name: 'Whole' }]),
      ],
      [info('disk4', 'USB', 61530439680, 'Ultra')],
      'the form of the store, in the tests of an imaging tool',
    ),
    verdicts: { disk0: 'system', disk4: 'APFS container disk5 (Whole)' },
  },
  {
    mac: withDisks(
      '14 M3, an APFS partition whose container is not told',
      appleSilicon(),
      [disk('disk4', 61530439680, [efi, { content: 'Apple_APFS', size: 61320724480 }])],
      [info('disk4', 'USB', 61530439680, 'Ultra')],
    ),
    verdicts: { disk0: 'system', disk4: 'an APFS container' },
  },
  {
    mac: withDisks(
      '14 M3, USB SSD of 500 GB with a Pi system',
      appleSilicon(),
      [piCard('disk4', 500107862016)],
      [usbSsd('disk4', 500107862016, 'Portable SSD T3')],
      'bus, size and fixed media of a T3, in a report to drivelist (10.12)',
    ),
    verdicts: { disk0: 'system', disk4: 'more than cards usually have' },
  },
  {
    mac: withDisks(
      '14 M3, USB SSD of 240 GB, mounted',
      appleSilicon(),
      [
        disk(
          'disk4',
          240057409536,
          [{ content: 'Windows_NTFS', size: 240056360960, name: 'Work', mount: '/Volumes/Work' }],
          'FDisk_partition_scheme',
        ),
      ],
      [usbSsd('disk4', 240057409536)],
    ),
    verdicts: { disk0: 'system', disk4: 'is mounted (/Volumes/Work)' },
    unmounting: { disk4: 'ok' },
  },
  {
    mac: withDisks(
      '14 M3, USB disk of 5 TB, HFS+',
      appleSilicon(),
      [
        disk('disk11', 5000981078016, [
          efi,
          { content: 'Apple_HFS', size: 5000603328512, name: 'HDD', mount: '/Volumes/HDD' },
        ]),
      ],
      [usbSsd('disk11', 5000981078016, 'My Book')],
      "keys of the volume's info, in the tests of an archiver",
    ),
    verdicts: { disk0: 'system', disk11: 'is mounted (/Volumes/HDD)' },
    unmounting: { disk11: 'more than cards usually have' },
  },
  {
    mac: withDisks(
      '14 M3, Time Machine on HFS+',
      appleSilicon(),
      [
        disk('disk4', 120034123776, [
          efi,
          { content: 'Apple_HFS', size: 119690149888, name: 'TM', mount: '/Volumes/TM' },
        ]),
      ],
      [usbSsd('disk4', 120034123776)],
    ),
    verdicts: { disk0: 'system', disk4: 'Time Machine' },
    unmounting: { disk4: 'Time Machine' },
  },
  {
    mac: withDisks(
      '14 M3, Time Machine on APFS',
      appleSilicon(),
      [
        disk('disk4', 250059350016, [efi, { content: 'Apple_APFS', size: 249849593856 }]),
        container(
          'disk5',
          249849593856,
          ['disk4s2'],
          [{ name: 'Time Machine Backups', mount: '/Volumes/Backups of mac' }],
        ),
      ],
      [usbSsd('disk4', 250059350016, 'Portable SSD T5')],
    ),
    verdicts: { disk0: 'system', disk4: 'APFS container disk5 (Time Machine Backups)' },
    unmounting: { disk4: 'APFS container disk5 (Time Machine Backups)' },
  },
  {
    mac: withDisks(
      '14 M3, a locked APFS drive',
      appleSilicon(),
      [
        disk('disk4', 240057409536, [efi, { content: 'Apple_APFS', size: 239847653376 }]),
        container('disk5', 239847653376, ['disk4s2'], [{ name: 'Secret' }]),
      ],
      [usbSsd('disk4', 240057409536, 'Extreme SSD')],
    ),
    verdicts: { disk0: 'system', disk4: 'APFS container disk5 (Secret)' },
  },
  {
    mac: withDisks(
      '13 M1 of 256 GB, card in a reader',
      appleSilicon(251000193024),
      [piCard('disk4', 31914983424, '/Volumes/bootfs')],
      [reader('disk4', 31914983424)],
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '13 M1, Thunderbolt SSD',
      appleSilicon(),
      [
        disk('disk11', 4096000000000, [
          { content: 'Microsoft Basic Data', size: 4095000000000, name: '40G4T' },
        ]),
      ],
      [info('disk11', 'PCI-Express', 4096000000000, 'GeIL P4S 4TB', external)],
      "info of the enclosure, in a drive monitor's tests",
    ),
    verdicts: { disk0: 'system', disk11: 'more than cards usually have' },
  },
  {
    mac: withDisks(
      '13 M1, a drive with sectors of 4096 bytes',
      appleSilicon(),
      [piCard('disk4', 31914983424)],
      [reader('disk4', 31914983424, { DeviceBlockSize: 4096 })],
    ),
    verdicts: { disk0: 'system', disk4: 'sectors of 4096 bytes' },
  },
  {
    mac: withDisks(
      '13 M1, a reader that is neither physical nor virtual',
      appleSilicon(),
      [piCard('disk4', 31914983424)],
      [reader('disk4', 31914983424, { VirtualOrPhysical: 'Unknown' })],
      'the value, told of Apple Fabric SSDs',
    ),
    verdicts: { disk0: 'system', disk4: 'ok' },
  },
  {
    mac: withDisks(
      '13 M1, a fixed drive that is neither physical nor virtual',
      appleSilicon(),
      [piCard('disk4', 31914983424)],
      [usbSsd('disk4', 31914983424, 'SSD', { VirtualOrPhysical: 'Unknown' })],
    ),
    verdicts: {
      disk0: 'system',
      disk4: 'does not say enough about /dev/disk4 to be sure of it (VirtualOrPhysical)',
    },
  },
  {
    mac: withDisks(
      '13 Intel with T2, card in a reader',
      intel(1000555581440),
      [piCard('disk2', 63864569856, '/Volumes/bootfs')],
      [reader('disk2', 63864569856)],
    ),
    verdicts: { disk0: 'system', disk2: 'ok' },
  },
  {
    mac: withDisks(
      '12 Intel iMac, camera card in the slot',
      intel(),
      [
        disk(
          'disk2',
          63864569856,
          [{ content: 'Windows_NTFS', size: 63847792640, name: 'EOS', mount: '/Volumes/EOS' }],
          'FDisk_partition_scheme',
        ),
      ],
      [slot('disk2', 63864569856)],
    ),
    verdicts: { disk0: 'system', disk2: 'ok' },
  },
  {
    mac: withDisks(
      '11 Intel whose SSD says PCI, older slot on USB',
      intel(500068036608, 'PCI'),
      [piCard('disk2', 15931539456, '/Volumes/bootfs')],
      [info('disk2', 'USB', 15931539456, 'SD Card Reader', { Internal: true })],
      'info of / in the tests of an archiver (11)',
    ),
    verdicts: { disk0: 'system', disk2: 'ok' },
  },
  {
    mac: withDisks(
      '12 Intel Mac mini, a second internal SATA SSD with a FAT',
      intel(),
      [
        disk(
          'disk2',
          128035676160,
          [{ content: 'Windows_FAT_32', size: 128035627008, name: 'DATA', mount: '/Volumes/DATA' }],
          'FDisk_partition_scheme',
        ),
      ],
      [info('disk2', 'SATA', 128035676160, 'Samsung SSD 840', builtIn)],
    ),
    verdicts: { disk0: 'system', disk2: 'is an internal drive (Samsung SSD 840)' },
    unmounting: { disk2: 'is an internal drive (Samsung SSD 840)' },
  },
  {
    mac: bootedElsewhere,
    verdicts: { disk0: 'is an internal drive', disk2: 'system' },
    unmounting: { disk0: 'is an internal drive', disk2: 'system' },
  },
  { mac: bootedFromStick, verdicts: { disk0: 'is an internal drive', disk2: 'system', disk4: 'ok' } },
  {
    mac: mac(
      '12 Intel, Fusion of SSD and disk',
      [
        disk('disk0', 121332826112, [efi, { content: 'Apple_APFS', size: 121018208256 }]),
        disk('disk1', 1000204886016, [efi, { content: 'Apple_APFS', size: 999995129856 }]),
        container(
          'disk2',
          1121013338112,
          ['disk1s2', 'disk0s2'],
          [
            { name: 'Fusion - Data', mount: '/System/Volumes/Data' },
            { name: 'Fusion', snapshot: '/' },
          ],
        ),
      ],
      [
        info('disk0', 'PCI-Express', 121332826112, 'APPLE SSD SM0128L', {
          ...builtIn,
          DeviceBlockSize: 4096,
        }),
        info('disk1', 'SATA', 1000204886016, 'APPLE HDD ST1000DM003', builtIn),
      ],
      rootInfo('disk2', ['disk1s2', 'disk0s2']),
    ),
    verdicts: { disk0: 'system', disk1: 'system' },
  },
  { mac: fusionOutside, verdicts: { disk4: 'system', disk5: 'system' } },
  {
    mac: withDisks(
      '14 M3, AppleRAID of two USB SSDs',
      appleSilicon(),
      [
        ...['disk4', 'disk5'].map((id) =>
          disk(id, 128035676160, [
            efi,
            { content: 'Apple_RAID', size: 127691702272 },
            { content: 'Apple_Boot', size: 134217728, name: 'Boot OS X' },
          ]),
        ),
        {
          Content: 'Apple_HFS',
          DeviceIdentifier: 'disk6',
          MountPoint: '/Volumes/Scratch',
          OSInternal: false,
          Size: 255383142400,
          VolumeName: 'Scratch',
        },
      ],
      [
        usbSsd('disk4', 128035676160, 'SSD A'),
        usbSsd('disk5', 128035676160, 'SSD B'),
        info('disk6', 'USB', 255383142400, 'Scratch', {
          ...external,
          Ejectable: false,
          RAIDMaster: true,
          VirtualOrPhysical: 'Virtual',
        }),
      ],
    ),
    verdicts: {
      disk0: 'system',
      disk4: 'part of a RAID set',
      disk5: 'part of a RAID set',
      disk6: 'part of a RAID set',
    },
    unmounting: { disk4: 'part of a RAID set', disk6: 'part of a RAID set' },
  },
  {
    mac: withDisks(
      '11 Intel, encrypted HFS+ (CoreStorage) on a USB SSD',
      intel(),
      [
        disk('disk4', 120034123776, [
          efi,
          { content: 'Apple_CoreStorage', size: 119690149888 },
          { content: 'Apple_Boot', size: 134217728, name: 'Boot OS X' },
        ]),
        {
          Content: 'Apple_HFS',
          DeviceIdentifier: 'disk5',
          MountPoint: '/Volumes/TM',
          OSInternal: false,
          Size: 119354605568,
          VolumeName: 'TM',
        },
      ],
      [
        usbSsd('disk4', 120034123776),
        info('disk5', 'USB', 119354605568, 'TM', {
          ...external,
          CoreStoragePVs: [{ CoreStoragePVDisk: 'disk4s2' }],
          VirtualOrPhysical: 'Virtual',
        }),
      ],
      'lists and info of CoreStorage, in reports to Etcher (2017) and drivelist (2018)',
    ),
    verdicts: {
      disk0: 'system',
      disk4: 'part of a CoreStorage volume',
      disk5: 'part of a CoreStorage volume',
    },
    unmounting: { disk4: 'part of a CoreStorage volume', disk5: 'part of a CoreStorage volume' },
  },
  {
    mac: mac(
      '10.12 Intel, started from CoreStorage',
      [
        disk('disk0', 251000193024, [
          efi,
          { content: 'Apple_CoreStorage', size: 250140434432 },
          { content: 'Apple_Boot', size: 650002432, name: 'Recovery HD' },
        ]),
        {
          Content: 'Apple_HFS',
          DeviceIdentifier: 'disk1',
          MountPoint: '/',
          Size: 249804890112,
          VolumeName: 'Macintosh HD',
        },
      ],
      [
        info('disk0', 'PCI-Express', 251000193024, 'APPLE SSD SM0256G', builtIn),
        info('disk1', 'PCI-Express', 249804890112, 'Macintosh HD', {
          ...builtIn,
          VirtualOrPhysical: 'Virtual',
        }),
      ],
      undefined,
      'the list, in a report to Etcher (2017)',
    ),
    verdicts: { disk0: 'is an internal drive', disk1: 'system' },
  },
  {
    mac: mac(
      '10.13 Intel, a list that does not tell physical stores',
      [
        disk('disk0', 251000193024, [
          efi,
          { content: 'Apple_APFS', size: 250135076864 },
          { content: 'Apple_KernelCoreDump', size: 655360000 },
        ]),
        {
          APFSVolumes: [
            { DeviceIdentifier: 'disk1s1', MountPoint: '/', VolumeName: 'Macintosh HD' },
            { DeviceIdentifier: 'disk1s4', MountPoint: '/private/var/vm', VolumeName: 'VM' },
          ],
          Content: 'EF57347C-0000-11AA-AA11-00306543ECAC',
          DeviceIdentifier: 'disk1',
          Partitions: [],
          Size: 250135076864,
        },
        piCard('disk2', 31914983424),
      ],
      [
        info('disk0', 'PCI-Express', 251000193024, 'APPLE SSD SM0256G', builtIn),
        reader('disk2', 31914983424),
      ],
      undefined,
      'the list, in the tests of an encryption tool (2017)',
    ),
    // Neither witness tells what the system stands on: then nothing is written.
    verdicts: {
      disk0: 'is an internal drive',
      disk2: 'does not say enough about /dev/disk2 to be sure of it (the disk that the system runs from)',
    },
  },
  {
    mac: withDisks(
      '10.15 Intel, swap in /private/var/vm, Recovery mounted',
      {
        ...intel(500107862016),
        disks: [
          disk('disk0', 500107862016, [efi, { content: 'Apple_APFS', size: 499763888128 }]),
          container(
            'disk1',
            499763888128,
            ['disk0s2'],
            [
              { name: 'MacintoshHD - Data', mount: '/System/Volumes/Data' },
              { name: 'Preboot' },
              { name: 'Recovery', mount: '/Volumes/Recovery' },
              { name: 'VM', mount: '/private/var/vm' },
              { name: 'MacintoshHD', mount: '/' },
            ],
          ),
        ],
      },
      [],
      [],
      "the list, in a telemetry tool's tests",
    ),
    verdicts: { disk0: 'system' },
  },
  {
    mac: withDisks(
      '26 M4, disk images: of a program, of a simulator, and the older name of the bus',
      appleSilicon(),
      [
        disk('disk4', 2147483648, [{ content: 'Apple_APFS', size: 2147442688 }]),
        container('disk5', 2147442688, ['disk4s1'], [{ name: 'Work', mount: '/Volumes/Work' }]),
        disk('disk6', 8588918784, [
          {
            content: 'Apple_HFS',
            size: 8588877824,
            name: 'iOS',
            mount: '/Library/Developer/CoreSimulator/Volumes/iOS_23A343',
          },
        ]),
        disk(
          'disk8',
          67108864,
          [{ content: 'DOS_FAT_32', size: 67108352, name: 'NIFE', mount: '/Volumes/NIFE' }],
          'FDisk_partition_scheme',
        ),
      ],
      [
        info('disk4', 'Disk Image', 2147483648, 'Disk Image', { VirtualOrPhysical: 'Virtual' }),
        info('disk6', 'Disk Image', 8588918784, 'Apple Disk Image', {
          VirtualOrPhysical: 'Virtual',
          WritableMedia: false,
        }),
        info('disk8', 'Virtual Interface', 67108864, 'Disk Image', { VirtualOrPhysical: 'Physical' }),
      ],
      'bus, media and flags of disk images, in two tools (10.13 and 26)',
    ),
    verdicts: {
      disk0: 'system',
      disk4: 'APFS container disk5 (Work)',
      disk6: 'is a virtual disk',
      disk8: 'is a virtual disk',
    },
    unmounting: { disk6: 'is a virtual disk', disk8: 'is a virtual disk' },
  },
  { mac: virtualBox, verdicts: { disk0: 'system', disk1: 'is an internal drive (VBOX HARDDISK)' } },
  {
    mac: mac(
      '15 M2, recovery: the system runs from a disk image',
      [
        ...appleSilicon().disks.map((entry) =>
          entry.DeviceIdentifier === 'disk3'
            ? container(
                'disk3',
                494384795648,
                ['disk0s2'],
                [{ name: 'Macintosh HD', mount: '/Volumes/Macintosh HD' }],
              )
            : entry,
        ),
        disk('disk4', 3221225472, [{ content: 'Apple_APFS', size: 3221184512 }]),
        container('disk5', 3221184512, ['disk4s1'], [{ name: 'macOS Base System', mount: '/' }]),
      ],
      [
        ...appleSilicon().infos,
        info('disk4', 'Disk Image', 3221225472, 'Disk Image', { VirtualOrPhysical: 'Virtual' }),
      ],
      rootInfo('disk5', ['disk4s1']),
    ),
    verdicts: { disk0: 'system', disk4: 'system' },
  },
  {
    mac: withDisks(
      '15 M2, a disk that was pulled between two questions',
      appleSilicon(),
      [piCard('disk4', 31914983424)],
      [],
    ),
    verdicts: { disk0: 'system', disk4: 'does not say enough' },
  },
]

/** As diskutil prints it. */
export function plistXml(value: PlistValue): string {
  const element = (value: PlistValue): string => {
    if (typeof value === 'boolean') return `<${value}/>`
    if (typeof value === 'number') return `<integer>${value}</integer>`
    if (typeof value === 'string')
      return `<string>${value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</string>`
    if (Array.isArray(value)) return `<array>${value.map(element).join('\n')}</array>`
    const entries = Object.entries(value).map(([key, member]) => `<key>${key}</key>${element(member)}`)
    return `<dict>${entries.join('\n')}</dict>`
  }
  return `<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0">\n${element(value)}\n</plist>\n`
}
