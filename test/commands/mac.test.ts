/** piimage on a Mac that is none (../support/fake-mac.ts): drives, flash, customise and inspect from end to end. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startMac } from '../support/fake-mac.ts'
import { DEMO_LAYOUT } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'

const flash = ['flash', '--node', 'oneil', '/dev/disk4', '--yes']
const verbs = (log: readonly string[]): string[] => log.filter((line) => /^(unmountDisk|eject)/.test(line))

test('drives shows the card that macOS has mounted, and not the Mac itself', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  const { status, said } = await mac.piimage('drives')
  assert.equal(status, 0, said)
  assert.match(
    said,
    /\/dev\/disk4 .*100\.7 MB, usb, STORAGE DEVICE; holds bootfs, Linux; mounted at \/Volumes\/bootfs-disk4/,
  )
  assert.match(said, /1 not shown because they would be refused/)
  assert.match((await mac.piimage('drives', '--all')).said, /\/dev\/disk0 .*holds the running system/)
  assert.deepEqual(verbs(mac.log()), [])
})

test('flash unmounts, writes, reads back and ejects, and the card is what inspect expects', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  const { status, said } = await mac.piimage(...flash)
  assert.equal(status, 0, said)
  assert.match(said, /written to \/dev\/disk4.*, read back and equal/)
  assert.deepEqual(verbs(mac.log()).at(0), 'unmountDisk /dev/disk4')
  assert.equal(mac.log().at(-1), 'eject /dev/disk4')
  for (const path of ['/dev/disk4', '/dev/rdisk4']) {
    const checked = await mac.piimage('inspect', path, '--check')
    assert.equal(checked.status, 0, checked.said)
    assert.match(checked.said, /node: oneil of cluster demo/)
    assert.match(checked.said, /equal to the plan for oneil, every byte that flash writes/)
  }
  const other = await mac.piimage('customise', '/dev/rdisk4', '--node', 'carter', '--yes')
  assert.equal(other.status, 0, other.said)
  assert.equal(mac.log().at(-1), 'eject /dev/disk4')
  const checked = await mac.piimage('inspect', '/dev/disk4', '--check', '--node', 'carter')
  assert.equal(checked.status, 0, checked.said)
})

test('what macOS writes on a card that it mounts later is named, and harmless', async (t) => {
  const mac = startMac(t)
  const mmd = needTool(t, 'mmd', 'mtools')
  if (mac === undefined || mmd === undefined) return
  assert.equal((await mac.piimage(...flash)).status, 0)
  const part = `${mac.backing('disk4')}@@${DEMO_LAYOUT.boot.offset}`
  assert.equal(run(mmd, ['-i', part, '::.fseventsd', '::.Spotlight-V100']).status, 0)
  writeFileSync(mac.project.file('uuid'), '0')
  assert.equal(run('mcopy', ['-i', part, mac.project.file('uuid'), '::.fseventsd/fseventsd-uuid']).status, 0)
  const { status, said } = await mac.piimage('inspect', '/dev/disk4', '--check')
  assert.equal(status, 0, said)
  assert.match(
    said,
    /every file; a computer that mounted the card has added \.Spotlight-V100, \.fseventsd, which is harmless/,
  )
  assert.equal(run('mcopy', ['-i', part, mac.project.file('uuid'), '::notes.txt']).status, 0)
  assert.equal((await mac.piimage('inspect', '/dev/disk4', '--check')).status, 5)
})

test('flash --all with two cards', async (t) => {
  const mac = startMac(t, ['disk4', 'disk5'])
  if (mac === undefined) return
  const { status, said } = await mac.piimage(
    ...['flash', '--all', '--yes', '--node', 'oneil', '--node', 'carter', '/dev/disk4', '/dev/disk5'],
  )
  assert.equal(status, 0, said)
  assert.deepEqual(
    verbs(mac.log())
      .filter((line) => line.startsWith('eject'))
      .sort(),
    ['eject /dev/disk4', 'eject /dev/disk5'],
  )
  // Which of the two is seen first is the machine's business.
  const nodes: (string | undefined)[] = []
  for (const id of ['disk4', 'disk5']) {
    const checked = await mac.piimage('inspect', `/dev/${id}`, '--check')
    assert.equal(checked.status, 0, checked.said)
    nodes.push(/equal to the plan for (\w+)/.exec(checked.said)?.[1])
  }
  assert.deepEqual(nodes.sort(), ['carter', 'oneil'])
})

test('a card that is pulled in the middle', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  mac.set('pull-after', 4 * 1024 * 1024)
  const { status, said } = await mac.piimage(...flash)
  assert.equal(status, 5, said)
  assert.match(
    said,
    /\/dev\/disk4 failed to \w+ \d+ bytes at offset \d+ \(ENXIO\) and no longer answers; the card/,
  )
  assert.match(said, /Was the card pulled out\?/)
})

test('two at once: the second is refused, and the first is whole', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  mac.set('hold-writes', '')
  const first = mac.start(flash)
  while (!mac.has('waiting')) {
    assert.equal(first.process.exitCode, null, first.said())
    await sleep(50)
  }
  const second = await mac.piimage('flash', '--node', 'carter', '/dev/disk4', '--yes')
  assert.equal(second.status, 5, second.said)
  assert.match(second.said, /\/dev\/disk4 is in use: another program has it open or mounted it/)
  mac.clear('hold-writes')
  const { status, said } = await first.ended
  assert.equal(status, 0, said)
  assert.equal((await mac.piimage('inspect', '/dev/disk4', '--check', '--node', 'oneil')).status, 0)
})

test('a card that something still looks at is opened after a moment', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  mac.set('open-busy', 3)
  const { status, said } = await mac.piimage(...flash)
  assert.equal(status, 0, said)
  // The drives are unmounted twice as they are judged, then once before each further try.
  assert.equal(verbs(mac.log()).filter((line) => line.startsWith('unmountDisk')).length, 2 + 3)
  mac.set('open-busy', 100)
  const refused = await mac.piimage(...flash)
  assert.equal(refused.status, 5, refused.said)
  assert.match(refused.said, /\/dev\/disk4 is in use/)
})

test('a card that Spotlight or fsck holds is unmounted after a moment, or refused', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  mac.set('hold-unmountDisk', 2)
  assert.equal((await mac.piimage(...flash)).status, 0)
  mac.set('hold-unmountDisk', 100)
  const before = readFileSync(mac.backing('disk4'))
  const { status, said } = await mac.piimage('flash', '--node', 'carter', '/dev/disk4', '--yes')
  assert.equal(status, 5, said)
  assert.match(
    said,
    /\/dev\/disk4 can't be unmounted: Unmount of disk4 failed: at least one volume could not be unmounted/,
  )
  assert.ok(readFileSync(mac.backing('disk4')).equals(before))
})

test('root without the privacy setting is told which and where', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  mac.set('open-denied', 100)
  const { status, said } = await mac.piimage(...flash)
  assert.equal(status, 5, said)
  assert.match(said, /macOS does not let this terminal write to \/dev\/disk4, not even as root/)
  assert.match(said, /Removable Volumes.*Full Disk Access/)
})

test('a disk that goes away between two questions is left out, and a diskutil that is not there is said', async (t) => {
  const mac = startMac(t, ['disk4', 'disk5'])
  if (mac === undefined) return
  mac.forget('disk4')
  const listed = await mac.piimage('drives')
  assert.equal(listed.status, 0, listed.said)
  assert.match(listed.said, /disk5/)
  assert.doesNotMatch(listed.said, /disk4/)
  const refused = await mac.piimage(...flash)
  assert.equal(refused.status, 5, refused.said)
  assert.match(refused.said, /\/dev\/disk4 is an APFS container or has no medium/)
  mac.removeDiskutil()
  for (const words of [['drives'], flash]) {
    const { status, said } = await mac.piimage(...words)
    assert.equal(status, 5, said)
    assert.match(said, /macOS does not tell its drives: there is no \/usr\/sbin\/diskutil/)
  }
})

test('another card in the same place by the time of writing is not written', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  // Judged twice, each with a look after unmounting; then opened.
  mac.set('media-after', 4)
  const { status, said } = await mac.piimage(...flash)
  assert.equal(status, 5, said)
  assert.match(
    said,
    /\/dev\/disk4 is not the drive that was confirmed: its medium was 4294968001, and is 4294969001/,
  )
  assert.ok(readFileSync(mac.backing('disk4')).every((byte) => byte === 0))
})

test('a card that can not be ejected was written all the same', async (t) => {
  const mac = startMac(t)
  if (mac === undefined) return
  mac.set('hold-eject', 2)
  assert.equal((await mac.piimage(...flash)).status, 0)
  mac.set('hold-eject', 100)
  const { status, said } = await mac.piimage(...flash)
  assert.equal(status, 0, said)
  assert.match(said, /\/dev\/disk4 can't be ejected: Volume timed out .*; eject it in Finder/)
})

test('the Mac itself is refused, by all of its names', async (t) => {
  const mac = startMac(t, ['disk0', 'disk4'])
  if (mac === undefined) return
  for (const path of ['/dev/disk0', '/dev/rdisk0']) {
    const { status, said } = await mac.piimage('flash', '--node', 'oneil', path, '--yes')
    assert.equal(status, 5, said)
    assert.match(said, /\/dev\/disk0 holds the running system/)
  }
  assert.deepEqual(verbs(mac.log()), [])
})
