/** `flash --all`: readers are links to loop devices, which appear when a card is put in and go when it is taken out. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { InterruptedError } from '../../src/errors.ts'
import { demoProject } from '../support/project.ts'
import { journalOf, makeCards, Reader } from '../support/readers.ts'
import { needRoot } from '../support/tools.ts'

test('card after card in one reader, until every node has one', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  const reader = new Reader(t, project, 'reader')
  const cards = ['first', 'second', 'third']
  makeCards(project, ...cards)
  let refused = false
  const react = (text: string) => {
    if (text.includes('"event":"waiting"')) {
      if (cards.length === 3) return reader.insert(cards.shift() as string)
      // The one that was just written is put in again by mistake.
      if (!refused && cards.length === 2) {
        refused = true
        reader.eject()
        setTimeout(() => reader.insert('first'), 1500)
      } else setTimeout(() => reader.insert(cards.shift() as string), 1500).unref()
    }
    if (text.includes('"event":"refused"')) setTimeout(() => reader.insert(cards.shift() as string), 1500)
  }
  const said = await project.piimageWatched(react, 'flash', '--all', reader.path, '--yes', '--json')
  assert.equal(said.status, 0, said.stderr)
  reader.eject()
  assert.match(said.stderr, /this is the card of hammond, which is done/)
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond', 'oneil', 'carter'])
  for (const [card, node] of [
    ['first', 'hammond'],
    ['second', 'oneil'],
    ['third', 'carter'],
  ] as const) {
    const checked = await project.piimage('inspect', project.file(card), '--check')
    assert.equal(checked.status, 0, checked.stderr)
    assert.match(checked.stdout, new RegExp(`node: ${node} `))
  }
})

test('stopped after one card, it goes on with the others; a card of a node goes to that node', async (t) => {
  if (!needRoot(t)) return
  const stop = new AbortController()
  const project = demoProject(t, { signal: stop.signal })
  const [one, two] = [new Reader(t, project, 'one'), new Reader(t, project, 'two')]
  makeCards(project, 'a', 'b')
  one.insert('a')
  const react = (text: string) => {
    if (text.includes('"event":"flashed"')) setImmediate(() => stop.abort(new InterruptedError('SIGINT')))
  }
  const all = ['flash', '--all', one.path, two.path, '--yes', '--json']
  const stopped = await project.piimageWatched(react, ...all)
  assert.equal(stopped.status, 130, stopped.stderr)
  assert.match(stopped.stderr, /1 of 3 nodes have their card/)
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond'])

  const again = demoProject(t)
  writeFileSync(again.file('.piimage-batch.json'), readFileSync(project.file('.piimage-batch.json')))
  // One card was carter's already.
  makeCards(again, 'b', 'c')
  const [left, right] = [new Reader(t, again, 'left'), new Reader(t, again, 'right')]
  left.insert('b')
  const before = await again.piimage('flash', '--node', `carter=${left.path}`, '--yes')
  assert.equal(before.status, 0, before.stderr)
  right.insert('c')
  const said = await again.piimage('flash', '--all', left.path, right.path, '--yes', '--json')
  assert.equal(said.status, 0, said.stderr)
  const targets = said.events.filter(({ event }) => event === 'target')
  assert.deepEqual(
    targets.map(({ node, drive }) => [node, drive]),
    [
      ['carter', left.path],
      ['oneil', right.path],
    ],
  )
  const nothing = await again.piimage('flash', '--all', left.path, '--yes', '--json')
  assert.equal(nothing.status, 0)
  assert.deepEqual(nothing.events.at(-1)?.flashed, [])
})

test('what changed since a card was made is said, and --again --node makes that one anew', async (t) => {
  if (!needRoot(t)) return
  const project = demoProject(t)
  const reader = new Reader(t, project, 'reader')
  makeCards(project, 'card')
  const one = (...more: string[]) =>
    project.piimage('flash', '--all', '--node', 'hammond', reader.path, '--yes', '--json', ...more)
  reader.insert('card')
  assert.equal((await one()).status, 0)
  const outdated = async () => (await one()).events.find(({ event }) => event === 'outdated')?.nodes
  assert.equal(await outdated(), undefined)

  const file = project.file('cluster.yaml')
  const text = readFileSync(file, 'utf8')
  for (const [from, to] of [
    ['keymap: us', 'keymap: de'],
    ['megabytes: 16', 'megabytes: 32'],
    ['192.168.2.10/24', '192.168.2.20/24'],
    ['name: ops', 'name: ops2'],
  ] as const) {
    writeFileSync(file, text.replace(from, to))
    assert.deepEqual(await outdated(), ['hammond'], to)
  }
  // Of another node, and in words only.
  writeFileSync(
    file,
    text.replace('192.168.2.12/24', '192.168.2.22/24').replace('# Three nodes', '# 3 nodes'),
  )
  assert.equal(await outdated(), undefined)

  writeFileSync(file, text.replace('keymap: us', 'keymap: de'))
  const warned = await one()
  assert.match(
    warned.stderr,
    /hammond: made from an older cluster file, .* piimage flash --all --again --node hammond/,
  )
  const anew = await one('--again')
  assert.equal(anew.events.find(({ event }) => event === 'flashed')?.node, 'hammond')
  assert.equal(await outdated(), undefined)
})

test('without a terminal, readers must be named and erasing allowed beforehand', async (t) => {
  const project = demoProject(t)
  for (const args of [['--yes'], ['/dev/null']]) {
    const said = await project.piimage('flash', '--all', ...args)
    assert.equal(said.status, 2)
    assert.match(said.stderr, /--all without a terminal needs the readers by name, and --yes/)
  }
})

test('a journal of another cluster is refused', async (t) => {
  const project = demoProject(t)
  writeFileSync(project.file('.piimage-batch.json'), '{"journalVersion":1,"cluster":"other","done":{}}')
  const said = await project.piimage('flash', '--all', project.file('reader'), '--yes')
  assert.equal(said.status, 2)
  assert.match(said.stderr, /is of the cluster "other", not of "demo"/)
})
