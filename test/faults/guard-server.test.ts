/** The drive guard on a server: every device of it by its kernel name, of which one is a card. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseNotWhole } from '../../src/drives/guard.ts'
import { describeLinuxDrive, readLinuxDevices } from '../../src/drives/linux.ts'
import { findRefusal } from '../../src/drives/refusal.ts'
import { GiB } from '../../src/units.ts'
import { plantSysfs, type Tree, type TreeDevice, type TreePartition } from '../support/sysfs-tree.ts'
import { tempFolder } from '../support/temp.ts'

/** A machine of LVM, RAID, encryption, btrfs, multipath and partitions. */
const server: Tree = {
  devices: [
    disk('sda', '8:0', [
      { name: 'sda1', number: '8:1', size: GiB },
      { name: 'sda2', number: '8:2', size: 20 * GiB, holders: ['dm-0', 'dm-1'] },
      { name: 'sda3', number: '8:3', size: GiB },
    ]),
    disk('sdb', '8:16', [{ name: 'sdb1', number: '8:17', size: 20 * GiB, holders: ['md0'] }]),
    disk('sdc', '8:32', [{ name: 'sdc1', number: '8:33', size: 20 * GiB, holders: ['md0'] }]),
    { ...disk('sdd', '8:48'), holders: ['dm-2'] },
    disk('sde', '8:64'),
    disk('sdf', '8:80', [{ name: 'sdf1', number: '8:81', size: 20 * GiB }]),
    disk('sdg', '8:96', [{ name: 'sdg1', number: '8:97', size: GiB }]),
    volume('dm-0', '253:0', 'vg-root', ['sda2']),
    volume('dm-1', '253:1', 'vg-swap', ['sda2']),
    volume('dm-2', '253:2', 'luks-backup', ['sdd']),
    volume('md0', '9:0', undefined, ['sdb1', 'sdc1']),
  ],
  mountinfo: [
    '20 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw',
    '21 20 8:1 / /boot/efi rw - vfat /dev/sda1 rw',
    '22 20 0:50 / /srv/data rw - btrfs /dev/sde rw',
  ].join('\n'),
  swaps: '/dev/dm-1 partition\t1\t0\t-2\n',
  btrfs: { 'some-id': ['sde', 'sdf1'] },
}

function disk(name: string, number: string, partitions: TreePartition[] = []): TreeDevice {
  return { name, number, size: 32 * GiB, at: `pci0000:00/usb1/1-1/${name}`, partitions }
}

function volume(name: string, number: string, mapper: string | undefined, slaves: string[]): TreeDevice {
  const files: Record<string, string> = mapper === undefined ? {} : { 'dm/name': mapper }
  return { name, number, size: 20 * GiB, at: 'virtual', slaves, files }
}

const devices: { name: string; says: RegExp | undefined }[] = [
  { name: 'sda', says: /holds the running system/ },
  { name: 'sda1', says: /is a partition of \/dev\/sda/ },
  { name: 'sda2', says: /is a partition of \/dev\/sda/ },
  { name: 'sda3', says: /is a partition of \/dev\/sda/ },
  { name: 'dm-0', says: /is a volume made by this system/ },
  { name: 'dm-1', says: /is a volume made by this system/ },
  { name: 'sdb', says: /is part of \/dev\/md0/ },
  { name: 'sdc', says: /is part of \/dev\/md0/ },
  { name: 'sdc1', says: /is a partition of \/dev\/sdc/ },
  { name: 'md0', says: /is a volume made by this system/ },
  { name: 'sdd', says: /is part of \/dev\/mapper\/luks-backup/ },
  { name: 'dm-2', says: /is a volume made by this system/ },
  { name: 'sde', says: /is mounted \(\/srv\/data\)/ },
  { name: 'sdf', says: /is mounted \(\/srv\/data\)/ },
  { name: 'sdf1', says: /is a partition of \/dev\/sdf/ },
  { name: 'sdg1', says: /is a partition of \/dev\/sdg/ },
  { name: 'sdg', says: undefined },
]

for (const { name, says } of devices) {
  test(`on a server, ${name} ${says === undefined ? 'is the card' : 'is refused'}`, (t) => {
    const root = tempFolder(t)
    plantSysfs(root, server)
    const found = readLinuxDevices(root)
    const device = found.byName.get(name)
    assert.ok(device)
    for (const unmount of [false, true]) {
      const refusal: { message: string } | undefined =
        refuseNotWhole(found, device, `/dev/${name}`) ??
        findRefusal(describeLinuxDrive(found, device), { imageLength: GiB, holdsCache: false, unmount })
      if (says === undefined) assert.equal(refusal?.message, undefined)
      else assert.match(refusal?.message ?? '', says)
    }
  })
}
