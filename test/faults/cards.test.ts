/**
 * Cards that fail, lie and go away, as block devices (../support/bad-card.ts),
 * under every command that writes one: what piimage says, its status, and in
 * what state it leaves the card. No row leaves a card bootable that was not
 * read back whole.
 */
import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { MiB } from '../../src/units.ts'
import { attachLoop, makeSparseFile } from '../support/loop.ts'
import { demoProject, type Project, type Said } from '../support/project.ts'
import { CARD_BYTES, type Card, type Row, rows, trios } from './card-rows.ts'

for (const row of rows) {
  const { name, command = 'flash', status, says, state } = row
  test(`${command}, ${name}: status ${status}, the card is ${state}`, async (t) => {
    const card = await row.insert(t)
    if (card === undefined) return
    const project = demoProject(t)
    const before = await fill(project, card, command)
    let done = false
    const onText = (text: string) => {
      if (done || row.when === undefined || !text.includes(`"phase":"${row.when}"`)) return
      done = true
      row.does?.(card)
    }
    const said = await project.piimageWatched(onText, ...wordsOf(command, card.path))
    assert.equal(said.status, status, said.stderr)
    assert.equal(done, row.when !== undefined, 'the moment came')
    assert.match(said.stderr, says)
    assertLast(said, status)
    await assertState(project, card, state, before)
  })
}

/** What lies on the card before: bytes of an earlier life, or another node's card. */
async function fill(project: Project, card: Card, command: Row['command']): Promise<Buffer> {
  const before = Buffer.alloc(CARD_BYTES, 0xa5)
  if (command === 'changed-only' || command === 'customise') {
    const said = await project.piimage('flash', '--node', 'carter=carter.img', '--quiet')
    assert.equal(said.status, 0, said.stderr)
    readFileSync(project.file('carter.img')).copy(before)
  } else {
    // A partition table that a half-written card must not show.
    before.writeUInt16LE(0xaa55, 510)
  }
  const fits = !card.backing.endsWith('/full/card')
  // A fake's backing is smaller than the card.
  const size = statSync(card.backing).size
  if (fits) writeFileSync(card.backing, before.subarray(0, size), { flag: 'r+' })
  return fits ? before.subarray(0, size) : Buffer.alloc(size)
}

function wordsOf(command: Row['command'], path: string): string[] {
  if (command === 'customise') return ['customise', path, '--node', 'oneil', '--yes', '--json']
  const flags = { 'changed-only': ['--changed-only'], probe: ['--probe'] }
  const more = command === 'changed-only' || command === 'probe' ? flags[command] : []
  return ['flash', '--node', `oneil=${path}`, '--yes', '--json', ...more]
}

/** The last line of `--json` says what the status says. */
function assertLast(said: Said, status: number): void {
  const last = said.events.at(-1)
  assert.equal(last?.event, 'result')
  assert.equal(last?.ok, status === 0)
  if (status !== 0) assert.equal(last?.exitCode, status)
}

async function assertState(project: Project, card: Card, state: Row['state'], before: Buffer): Promise<void> {
  if (state === 'unbootable') assert.ok(headOf(card.backing, MiB).every((byte) => byte === 0))
  if (state === 'no table') assert.ok(headOf(card.backing, 512).every((byte) => byte === 0))
  if (state === 'untouched') assert.ok(readFileSync(card.backing).equals(before))
  if (state !== 'whole') return
  const checked = await project.piimage('inspect', card.path, '--check', '--node', 'oneil')
  assert.equal(checked.status, 0, checked.stderr)
}

/** Read from what is behind the card: the card itself may fail. */
function headOf(backing: string, length: number): Buffer {
  const fd = openSync(backing, 'r')
  const head = Buffer.alloc(length)
  assert.equal(readSync(fd, head, 0, length, 0), length)
  closeSync(fd)
  return head
}

for (const { name, insert, pullsAt, flags = [], says } of trios) {
  for (const words of [[], ['--all']]) {
    test(`${['flash', ...words].join(' ')} with three cards, one of them bad (${name}): status 6, the others are whole`, async (t) => {
      const bad = await insert(t)
      if (bad === undefined) return
      const project = demoProject(t)
      await fill(project, bad, 'flash')
      const cards = new Map([['oneil', bad]])
      for (const node of ['hammond', 'carter']) {
        makeSparseFile(project.file(node), CARD_BYTES)
        cards.set(node, { path: attachLoop(t, project.file(node)), backing: project.file(node) })
      }
      let pulled = pullsAt === undefined
      const onText = (text: string) => {
        const ofBad = text
          .split('\n')
          .some((line) => line.includes(`"phase":"${pullsAt}"`) && line.includes(`"${bad.path}"`))
        if (!pulled && ofBad) {
          pulled = true
          bad.pull?.()
        }
      }
      // With --all, cards go to nodes in the order of the cluster file.
      const inOrder = ['hammond', 'oneil', 'carter'].map((node) => ({
        node,
        path: cards.get(node)?.path ?? '',
      }))
      const drives =
        words.length > 0
          ? inOrder.map(({ path }) => path)
          : inOrder.flatMap(({ node, path }) => ['--node', `${node}=${path}`])
      const said = await project.piimageWatched(
        onText,
        'flash',
        ...words,
        ...drives,
        ...flags,
        '--yes',
        '--json',
      )
      assert.equal(said.status, 6, said.stderr)
      assert.ok(pulled)
      assert.match(said.stderr, /1 of 3 nodes failed: oneil/)
      assert.match(said.stderr, says)
      assertLast(said, 6)
      await assertState(project, bad, 'unbootable', Buffer.alloc(0))
      for (const node of ['hammond', 'carter']) {
        const checked = await project.piimage(
          'inspect',
          cards.get(node)?.path ?? '',
          '--check',
          '--node',
          node,
        )
        assert.equal(checked.status, 0, checked.stderr)
      }
    })
  }
}
