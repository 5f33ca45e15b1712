/** PowerShell's answers, in the forms of public reports (names or numbers, lists of one), and what is thought of each drive. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Drive } from '../../src/drives/drive.ts'
import { findRefusal, proofOf } from '../../src/drives/refusal.ts'
import { describeWindowsDrives } from '../../src/drives/windows.ts'

type Row = Record<string, unknown>

const disk = (
  number: number,
  FriendlyName: string,
  Size: number,
  BusType: string | number,
  more: Row = {},
): Row => ({
  Number: number,
  FriendlyName,
  SerialNumber: ` ${FriendlyName.length}A0${number} `,
  UniqueId: `5000${number}`,
  Size,
  LogicalSectorSize: 512,
  BusType,
  IsBoot: false,
  IsSystem: false,
  IsReadOnly: false,
  ...more,
})
const partition = (DiskNumber: number, PartitionNumber: number, letter: unknown, more: Row = {}): Row => ({
  DiskNumber,
  PartitionNumber,
  DriveLetter: letter,
  Size: 1e9,
  Type: 'Basic',
  IsBoot: false,
  IsSystem: false,
  ...more,
})

const laptop = {
  systemDrive: 'C:',
  disks: [
    disk(0, 'Samsung SSD 980 PRO 1TB', 1000204886016, 'NVMe', { IsBoot: true, IsSystem: true }),
    disk(1, 'Generic USB SD Reader', 63864569856, 'USB'),
    disk(2, 'SDXC Card', 31914983424, 'SD'),
    disk(3, 'WD Blue SA510 2TB', 2000398934016, 'SATA'),
    disk(4, 'Msft Virtual Disk', 8589934592, 'File Backed Virtual'),
    disk(5, 'Samsung PSSD T7', 500107862016, 'USB'),
  ],
  physical: [],
  partitions: [
    partition(0, 3, 'C', { IsBoot: true }),
    partition(1, 1, 'E'),
    partition(2, 1, '\u0000'),
    partition(3, 1, 'D'),
    partition(5, 1, 'F'),
  ],
  volumes: [{ DriveLetter: 'E', FileSystemLabel: 'bootfs', FileSystem: 'FAT32' }],
  swap: { Name: 'D:\\pagefile.sys' },
}

const says = (drive: Drive): string =>
  findRefusal(drive, { imageLength: 1e9, holdsCache: false })?.message ?? 'ok'
const verdicts = (answer: unknown): string[] => describeWindowsDrives(answer).map(says)

test('a laptop: the system, a card in a reader, one in the slot, a data disk, a virtual one, an SSD', () => {
  const drives = describeWindowsDrives(laptop)
  assert.deepEqual(drives.map(says), [
    '\\\\.\\PhysicalDrive0 holds the running system (C:\\)',
    'ok',
    'ok',
    '\\\\.\\PhysicalDrive3 is used as swap space',
    '\\\\.\\PhysicalDrive4 is a virtual disk made by this system (Msft Virtual Disk)',
    '\\\\.\\PhysicalDrive5 has 500.1 GB, more than cards usually have (Samsung PSSD T7)',
  ])
  const [, reader] = drives
  assert.deepEqual(
    [reader?.serial, reader?.mounts, reader?.partitions[0]?.label, reader?.bus],
    ['21A01', [{ source: '\\\\.\\PhysicalDrive1', target: 'E:\\' }], 'bootfs', 'usb'],
  )
})

test('a data disk without a page file is an internal one', () => {
  assert.equal(
    verdicts({ ...laptop, swap: null })[3],
    '\\\\.\\PhysicalDrive3 is an internal drive (WD Blue SA510 2TB)',
  )
})

test('numbers in the place of names, letters as numbers, and a list of one', () => {
  const numbers = {
    systemDrive: 'C:',
    disks: disk(1, 'STORAGE DEVICE', 31914983424, 7),
    partitions: partition(1, 1, 'E'.charCodeAt(0)),
  }
  const [drive] = describeWindowsDrives(numbers)
  assert.deepEqual([drive?.bus, drive?.mounts[0]?.target, drive && says(drive)], ['usb', 'E:\\', 'ok'])
  const sata = { ...numbers, disks: disk(1, 'VBOX HARDDISK', 31914983424, 11) }
  assert.deepEqual(verdicts(sata), ['\\\\.\\PhysicalDrive1 is an internal drive (VBOX HARDDISK)'])
})

test('the disk of the system drive is refused where no flag says so', () => {
  const answer = {
    systemDrive: 'C:',
    disks: [disk(1, 'USB boot stick', 63864569856, 'USB')],
    partitions: [partition(1, 1, 'C')],
  }
  assert.match(verdicts(answer)[0] ?? '', /holds the running system/)
})

test('what is no answer lists nothing', () => {
  for (const answer of [null, [], {}, { disks: null }, { disks: [{}] }, { disks: [{ Number: 'x' }] }])
    assert.deepEqual(describeWindowsDrives(answer), [])
})

test("whatever is not told of the system's disk, internal or USB, it is never accepted", () => {
  for (const bus of ['NVMe', 'USB'])
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), (kept) => {
        const rows = [
          disk(0, 'Disk', 128e9, bus, { IsBoot: true, IsSystem: true }),
          partition(0, 1, 'C', { IsBoot: true }),
          partition(0, 2, '\u0000', { IsSystem: true }),
        ]
        let index = 0
        const [one, ...parts] = rows.map((row) =>
          Object.fromEntries(Object.entries(row).filter(() => kept[index++ % kept.length])),
        )
        for (const drive of describeWindowsDrives({ systemDrive: 'C:', disks: [one], partitions: parts })) {
          const options = { imageLength: 0, unmount: true, holdsCache: false }
          assert.ok(findRefusal(drive, options))
          assert.ok(findRefusal(drive, { ...options, serial: proofOf(drive) }))
        }
      }),
      { numRuns: 5000 },
    )
})
