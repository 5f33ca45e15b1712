/** Machines as sysfs describes them: who is a drive, what stands on it, and which one may be erased. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Drive } from '../../src/drives/drive.ts'
import { refuseNotWhole } from '../../src/drives/guard.ts'
import { listLinuxDrives, readLinuxDevices } from '../../src/drives/linux.ts'
import { findRefusal, type RefusalOptions } from '../../src/drives/refusal.ts'
import { GiB, MiB } from '../../src/units.ts'
import { known } from '../support/known.ts'
import { plantSysfs, type Tree } from '../support/sysfs-tree.ts'
import { tempFolder } from '../support/temp.ts'

const usbStick = 'pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/host4/target4:0:0/4:0:0:0'
/** A laptop: LVM on encrypted NVMe, a stick the desktop mounted, a card in the native reader, an empty reader. */
const laptop: Tree = {
  devices: [
    {
      name: 'nvme0n1',
      number: '259:0',
      size: 512e9,
      at: 'pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0',
      files: { 'device/model': 'Samsung SSD 980', 'device/serial': 'S649NX0R', removable: '0' },
      partitions: [
        { name: 'nvme0n1p1', number: '259:1', size: 512 * MiB },
        { name: 'nvme0n1p2', number: '259:2', size: 500e9, holders: ['dm-0'] },
      ],
    },
    {
      name: 'dm-0',
      number: '253:0',
      size: 500e9,
      at: 'virtual',
      files: { 'dm/name': 'luks' },
      slaves: ['nvme0n1p2'],
      holders: ['dm-1', 'dm-2'],
    },
    {
      name: 'dm-1',
      number: '253:1',
      size: 400e9,
      at: 'virtual',
      files: { 'dm/name': 'vg-root' },
      slaves: ['dm-0'],
    },
    {
      name: 'dm-2',
      number: '253:2',
      size: 16e9,
      at: 'virtual',
      files: { 'dm/name': 'vg-swap' },
      slaves: ['dm-0'],
    },
    {
      name: 'sda',
      number: '8:0',
      size: 32 * GiB,
      at: usbStick,
      files: {
        'device/vendor': 'SanDisk ',
        'device/model': 'Ultra           ',
        removable: '1',
        '../../../../../../idVendor': '0781',
        '../../../../../../serial': '4C530001',
      },
      partitions: [
        { name: 'sda1', number: '8:1', size: GiB, udev: { ID_FS_LABEL: 'bootfs', ID_FS_TYPE: 'vfat' } },
        { name: 'sda2', number: '8:2', size: 4 * GiB, udev: { ID_FS_LABEL: 'rootfs', ID_FS_TYPE: 'ext4' } },
      ],
    },
    {
      name: 'mmcblk0',
      number: '179:0',
      size: 16 * GiB,
      at: 'pci0000:00/0000:00:1c.0/0000:01:00.0/mmc_host/mmc0/mmc0:aaaa',
      files: { 'device/name': 'SC16G', 'device/serial': '0x1234abcd', 'device/type': 'SD', removable: '0' },
      partitions: [{ name: 'mmcblk0p1', number: '179:1', size: GiB }],
    },
    { name: 'mmcblk0boot0', number: '179:8', size: 4 * MiB, at: 'platform/mmc_host/mmc0/mmc0:0001' },
    { name: 'sdb', number: '8:16', size: 0, at: usbStick.replace('4:0:0:0', '4:0:0:1') },
    { name: 'zram0', number: '252:0', size: GiB, at: 'virtual' },
    { name: 'sr0', number: '11:0', size: GiB, at: 'pci0000:00/ata2/host1' },
  ],
  mountinfo: `22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw
23 22 259:1 / /boot/efi rw shared:2 - vfat /dev/nvme0n1p1 rw
24 22 8:1 / /media/me/my\\040bootfs rw,nosuid shared:3 master:1 - vfat /dev/sda1 rw
25 22 0:5 / /dev rw - devtmpfs udev rw
`,
  swaps: '/dev/dm-2                               partition\t16777212\t0\t-2\n',
}

/** A server: two SATA drives in a RAID-1 that holds /srv; btrfs root over two others; one loop over a partition. */
const server: Tree = {
  devices: [
    ...(['sda', 'sdb'] as const).map((name, index) => ({
      name,
      number: `8:${index * 16}`,
      size: 200e9,
      at: `pci0000:00/0000:00:1f.2/ata${index + 1}/host${index}/target${index}:0:0/${index}:0:0:0`,
      files: { 'device/vendor': 'ATA     ', 'device/model': 'WDC WD20', removable: '0' },
      partitions: [{ name: `${name}1`, number: `8:${index * 16 + 1}`, size: 199e9, holders: ['md0'] }],
    })),
    { name: 'md0', number: '9:0', size: 199e9, at: 'virtual', slaves: ['sda1', 'sdb1'] },
    ...(['sdc', 'sdd'] as const).map((name, index) => ({
      name,
      number: `8:${32 + index * 16}`,
      size: 200e9,
      at: `pci0000:00/0000:00:1f.2/ata${index + 3}/host${index + 2}/target${index + 2}:0:0/${index + 2}:0:0:0`,
    })),
    {
      name: 'sde',
      number: '8:64',
      size: 64e9,
      at: 'pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host9/target9:0:0/9:0:0:0',
      partitions: [{ name: 'sde1', number: '8:65', size: 60e9 }],
    },
    { name: 'loop0', number: '7:0', size: 60e9, at: 'virtual', files: { 'loop/backing_file': '/dev/sde1' } },
    {
      name: 'loop1',
      number: '7:1',
      size: GiB,
      at: 'virtual',
      files: { 'loop/backing_file': '/srv/card.img' },
    },
    {
      name: 'loop2',
      number: '7:2',
      size: GiB,
      at: 'virtual',
      files: { 'loop/backing_file': '/srv/card.img' },
    },
  ],
  btrfs: { 'aaaa-bbbb': ['sdc', 'sdd'] },
  mountinfo: `22 1 0:25 /@ / rw - btrfs /dev/sdc rw
23 22 9:0 / /srv rw - ext4 /dev/md0 rw
24 22 7:0 / /mnt/old rw - ext4 /dev/loop0 rw
25 22 7:2 / /mnt/card rw - vfat /dev/loop2 rw
`,
}

const noOptions: RefusalOptions = { imageLength: GiB, holdsCache: false }

function drivesOf(t: TestContext, tree: Tree): Map<string, Drive> {
  const root = tempFolder(t)
  plantSysfs(root, tree)
  return new Map(listLinuxDrives(readLinuxDevices(root)).map((drive) => [drive.path, drive]))
}

test('a laptop lists its drives, and not memory, optical or eMMC boot areas', (t) => {
  const drives = drivesOf(t, laptop)
  assert.deepEqual([...drives.keys()], ['/dev/mmcblk0', '/dev/nvme0n1', '/dev/sda'])
  assert.deepEqual(known(drives.get('/dev/sda')), {
    path: '/dev/sda',
    size: 32 * GiB,
    sectorSize: 512,
    model: 'SanDisk Ultra',
    serial: '4C530001',
    bus: 'usb',
    removable: true,
    internal: false,
    virtual: false,
    autoUnmount: false,
    unknown: [],
    readOnly: false,
    partitions: [
      { path: '/dev/sda1', size: GiB, label: 'bootfs', fileSystem: 'vfat' },
      { path: '/dev/sda2', size: 4 * GiB, label: 'rootfs', fileSystem: 'ext4' },
    ],
    mounts: [{ source: '/dev/sda1', target: '/media/me/my bootfs' }],
    holders: [],
    memberOf: [],
    writers: [],
    swap: false,
    system: false,
    number: '8:0',
  } satisfies Drive)
  const card = drives.get('/dev/mmcblk0')
  assert.deepEqual(
    [card?.bus, card?.removable, card?.model, card?.serial],
    ['mmc', true, 'SC16G', '0x1234abcd'],
  )
  const disk = drives.get('/dev/nvme0n1')
  assert.deepEqual([disk?.bus, disk?.removable, disk?.system, disk?.swap], ['nvme', false, true, true])
  assert.deepEqual(disk?.holders, ['/dev/mapper/luks', '/dev/mapper/vg-root', '/dev/mapper/vg-swap'])
})

test('in a mount namespace of its own, what the machine has mounted counts', (t) => {
  const mountinfo =
    '30 1 0:40 / / rw - overlay overlay rw\n31 30 8:1 / /media/me/card rw - vfat /dev/sda1 rw\n'
  const drives = drivesOf(t, { ...laptop, mountinfo, mountinfoOfInit: laptop.mountinfo + mountinfo })
  assert.equal(drives.get('/dev/nvme0n1')?.system, true)
  assert.deepEqual(
    drives.get('/dev/sda')?.mounts.map(({ target }) => target),
    ['/media/me/card', '/media/me/my bootfs'],
  )
})

const refusals: { tree: Tree; path: string; options?: Partial<RefusalOptions>; says: string | undefined }[] =
  [
    { tree: laptop, path: '/dev/nvme0n1', says: '/dev/nvme0n1 holds the running system (/, /boot/efi)' },
    { tree: laptop, path: '/dev/sda', says: '/dev/sda is mounted (/media/me/my bootfs)' },
    { tree: laptop, path: '/dev/sda', options: { unmount: true }, says: undefined },
    {
      tree: laptop,
      path: '/dev/sda',
      options: { unmount: true, holdsCache: true },
      says: "/dev/sda holds piimage's own cache",
    },
    { tree: laptop, path: '/dev/mmcblk0', says: undefined },
    { tree: laptop, path: '/dev/mmcblk0', options: { serial: '0x1234ABCD' }, says: undefined },
    {
      tree: laptop,
      path: '/dev/mmcblk0',
      options: { serial: '0xffff' },
      says: '/dev/mmcblk0 has the serial 0x1234abcd, not 0xffff',
    },
    {
      tree: laptop,
      path: '/dev/mmcblk0',
      options: { imageLength: 16 * GiB + 512 },
      says: '/dev/mmcblk0 is too small: it has 17.2 GB (17179869184 bytes), the image 17.2 GB (17179869696 bytes)',
    },
    { tree: server, path: '/dev/sda', says: '/dev/sda is mounted (/srv)' },
    // Members of an array stay refused when its mount is gone, and --unmount does not help against a server's mounts.
    { tree: server, path: '/dev/sdb', options: { unmount: true }, says: '/dev/sdb is mounted (/srv)' },
    {
      tree: { ...server, mountinfo: '' },
      path: '/dev/sdb',
      says: '/dev/sdb is part of /dev/md0',
    },
    { tree: server, path: '/dev/sdc', says: '/dev/sdc holds the running system (/)' },
    // Only the first member of a btrfs shows in mountinfo.
    { tree: server, path: '/dev/sdd', says: '/dev/sdd holds the running system (/)' },
    { tree: server, path: '/dev/sde', says: '/dev/sde is mounted (/mnt/old)' },
    { tree: { ...server, mountinfo: '' }, path: '/dev/sde', says: '/dev/sde is part of /dev/loop0' },
    {
      tree: { ...server, mountinfo: '' },
      path: '/dev/loop0',
      says: '/dev/loop0 is a loop device over /dev/sde1',
    },
    // Another loop device over the same file is mounted.
    { tree: server, path: '/dev/loop1', says: '/dev/loop1 is mounted (/mnt/card)' },
    {
      tree: { ...server, swaps: '/dev/sde1 partition\t1\t0\t-2\n', mountinfo: '' },
      path: '/dev/sde',
      says: '/dev/sde is used as swap space',
    },
  ]

for (const { tree, path, options, says } of refusals) {
  const name = tree === laptop ? 'laptop' : 'server'
  test(`${name}: ${path} ${JSON.stringify(options ?? {})}: ${says ?? 'may be written'}`, (t) => {
    const drive = drivesOf(t, tree).get(path)
    assert.ok(drive)
    const refusal = findRefusal(drive, { ...noOptions, ...options })
    assert.equal(refusal?.message, says)
    if (says !== undefined) assert.match(refusal?.hint ?? '', /^[A-Z`].{10,}/)
  })
}

const spare: Drive = {
  path: '/dev/sdz',
  size: 32e9,
  sectorSize: 512,
  bus: 'usb',
  removable: true,
  internal: false,
  virtual: false,
  autoUnmount: false,
  unknown: [],
  readOnly: false,
  partitions: [],
  mounts: [],
  holders: [],
  memberOf: [],
  writers: [],
  swap: false,
  system: false,
}
const spareCases: { change: Partial<Drive>; serial?: string; says: string | undefined }[] = [
  { change: {}, says: undefined },
  { change: { readOnly: true }, says: '/dev/sdz is write-protected' },
  {
    change: { sectorSize: 4096 },
    says: '/dev/sdz has sectors of 4096 bytes; Raspberry Pi images are made for 512',
  },
  { change: { size: 256e9 }, says: undefined },
  { change: { size: 256e9 + 512 }, says: '/dev/sdz has 256.0 GB, more than cards usually have' },
  { change: { size: 1e12, serial: 'X1' }, says: '/dev/sdz has 1.0 TB, more than cards usually have' },
  { change: { size: 1e12, serial: 'X1' }, serial: 'x1', says: undefined },
  { change: { size: 1e12 }, serial: 'x1', says: '/dev/sdz has no serial, not x1' },
  { change: { size: 1e12 }, serial: '', says: '/dev/sdz has no serial, not an empty one' },
  // A drive that tells no serial is named by its model and exact size.
  { change: { size: 1e12 }, serial: '1000000000000', says: undefined },
  { change: { size: 1e12, model: 'SSD T7' }, serial: 'ssd t7:1000000000000', says: undefined },
  { change: { size: 1e12, model: 'SSD T7' }, serial: 'SSD T7', says: '/dev/sdz has no serial, not SSD T7' },
  // What is built in is somebody's, however small; a card's slot and USB are not built in.
  { change: { bus: 'sata', removable: false }, says: '/dev/sdz is not a removable drive' },
  {
    change: { bus: 'nvme', removable: false, model: 'KXG6', serial: 'A1' },
    says: '/dev/sdz is not a removable drive (KXG6)',
  },
  { change: { bus: 'nvme', removable: false, serial: 'A1' }, serial: 'a1', says: undefined },
  { change: { bus: 'virtio', removable: false }, says: '/dev/sdz is not a removable drive' },
  { change: { bus: 'sata', removable: true }, says: undefined },
  { change: { bus: 'mmc', removable: false }, says: undefined },
  { change: { bus: 'loop', removable: false, backingFile: '/home/me/card.img' }, says: undefined },
  {
    change: { bus: 'loop', removable: false, backingFile: '/var/lib/machines.raw' },
    says: '/dev/sdz is not a removable drive',
  },
  { change: { internal: true, model: 'APPLE SSD' }, says: '/dev/sdz is an internal drive (APPLE SSD)' },
  { change: { virtual: true }, says: '/dev/sdz is a virtual disk made by this system' },
  { change: { memberOf: ['a RAID set'] }, says: '/dev/sdz is part of a RAID set' },
  {
    change: { unknown: ['Internal'] },
    says: 'the system does not say enough about /dev/sdz to be sure of it (Internal)',
  },
  {
    change: { writers: ['process 7 (qemu)'] },
    says: '/dev/sdz is in use: another program has it open or mounted it: process 7 (qemu)',
  },
]
for (const { change, serial, says } of spareCases) {
  test(`a spare drive with ${JSON.stringify(change)}: ${says ?? 'may be written'}`, () => {
    const options = serial === undefined ? noOptions : { ...noOptions, serial }
    assert.equal(findRefusal({ ...spare, ...change }, options)?.message, says)
  })
}

test('a partition, a mapped volume and an array are not drives', (t) => {
  for (const [tree, name, says] of [
    [laptop, 'sda1', '/dev/x is a partition of /dev/sda'],
    [laptop, 'mmcblk0p1', '/dev/x is a partition of /dev/mmcblk0'],
    [laptop, 'nvme0n1p2', '/dev/x is a partition of /dev/nvme0n1'],
    [laptop, 'dm-1', '/dev/x is a volume made by this system (dm-1), not a drive'],
    [laptop, 'zram0', '/dev/x is a volume made by this system (zram0), not a drive'],
    [server, 'md0', '/dev/x is a volume made by this system (md0), not a drive'],
    [laptop, 'sda', undefined],
  ] as const) {
    const root = tempFolder(t)
    plantSysfs(root, tree)
    const devices = readLinuxDevices(root)
    const device = devices.byName.get(name)
    assert.ok(device, name)
    assert.equal(refuseNotWhole(devices, device, '/dev/x')?.message, says)
  }
})
