/** diskutil's answers (fixtures/README.md) as drives. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeMacDrives, wholeMacDisks } from '../../src/drives/macos.ts'
import { type PlistValue, parsePlist } from '../../src/drives/plist.ts'
import { findRefusal } from '../../src/drives/refusal.ts'
import { GiB } from '../../src/units.ts'
import { known } from '../support/known.ts'

// Compiled tests lie under build/; the fixtures stay where they are.
const fixtures = join(process.cwd(), 'test/drives/fixtures')
const readPlist = (name: string): PlistValue =>
  parsePlist(readFileSync(join(fixtures, `diskutil-${name}.plist`), 'utf8'))
const drives = describeMacDrives(readPlist('list'), (id) =>
  id === '/' ? undefined : readPlist(`info-${id}`),
)

test('whole disks are listed, an APFS container is not one', () => {
  assert.deepEqual(wholeMacDisks(readPlist('list')), ['disk0', 'disk2', 'disk4'])
  assert.deepEqual(
    drives.map(({ path }) => path),
    ['/dev/disk0', '/dev/disk2', '/dev/disk4'],
  )
})

test('a card in the built-in reader', () => {
  assert.deepEqual(known(drives[1]), {
    path: '/dev/disk2',
    size: 31914983424,
    sectorSize: 512,
    model: 'Built In SDXC Reader',
    bus: 'mmc',
    removable: true,
    internal: false,
    virtual: false,
    autoUnmount: true,
    unknown: [],
    readOnly: true,
    partitions: [
      { path: '/dev/disk2s1', size: 536870912, label: 'bootfs', fileSystem: 'Windows_FAT_32' },
      { path: '/dev/disk2s2', size: 5234491392, fileSystem: 'Linux' },
    ],
    mounts: [{ source: '/dev/disk2s1', target: '/Volumes/bootfs' }],
    holders: [],
    memberOf: [],
    writers: [],
    swap: false,
    system: false,
  })
})

test('the system lives on the drive its container stands on', () => {
  const [system, card, backup] = drives
  assert.deepEqual([system?.system, system?.swap, system?.removable], [true, true, false])
  assert.deepEqual([card?.system, backup?.system], [false, false])
  assert.equal(backup?.mounts[0]?.target, '/Volumes/Tom & Ann')
})

test('what is refused: the system, the locked card, the large drive', () => {
  const says = drives.map(
    (drive) => findRefusal(drive, { imageLength: GiB, holdsCache: false, unmount: true })?.message,
  )
  assert.deepEqual(says, [
    '/dev/disk0 holds the running system (/, /System/Volumes/Data, /System/Volumes/VM)',
    '/dev/disk2 is write-protected',
    '/dev/disk4 has 2.0 TB, more than cards usually have (My Passport 25E2)',
  ])
})
