import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMountinfo, parseSwaps } from '../../src/io/mountinfo.ts'

const cases: { name: string; line: string; entries: ReturnType<typeof parseMountinfo> }[] = [
  {
    name: 'one optional field',
    line: '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue',
    entries: [{ device: '98:0', target: '/mnt2', source: '/dev/root', fileSystem: 'ext3' }],
  },
  {
    name: 'no optional field',
    line: '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw',
    entries: [{ device: '254:0', target: '/', source: '/dev/vda', fileSystem: 'ext4' }],
  },
  {
    name: 'three optional fields',
    line: '27 1 8:1 / /a rw shared:7 master:1 propagate_from:2 - vfat /dev/sda1 rw',
    entries: [{ device: '8:1', target: '/a', source: '/dev/sda1', fileSystem: 'vfat' }],
  },
  {
    name: 'escapes',
    line: '27 1 8:1 / /media/my\\040card\\134x rw - vfat /dev/my\\011dev rw',
    entries: [{ device: '8:1', target: '/media/my card\\x', source: '/dev/my\tdev', fileSystem: 'vfat' }],
  },
  { name: 'a line that is cut off', line: '27 1 8:1 / /a rw', entries: [] },
  { name: 'an empty file', line: '', entries: [] },
]
for (const { name, line, entries } of cases)
  test(`parseMountinfo: ${name}`, () => assert.deepEqual(parseMountinfo(`${line}\n`), entries))

test('parseSwaps: partitions and files, not the heading', () => {
  assert.deepEqual(
    parseSwaps(
      'Filename\t\t\t\tType\t\tSize\n/dev/sda3 partition\t1\t0\t-2\n/swap\\040file file\t1\t0\t-3\n',
    ),
    ['/dev/sda3', '/swap file'],
  )
  assert.deepEqual(parseSwaps('Filename Type\n'), [])
})
