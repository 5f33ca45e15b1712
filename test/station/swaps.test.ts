/** A batch in the browser, swap by swap: every card is the node whose name the page showed for it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { openBrowser, openPage } from '../support/browser.ts'
import { judgeCard } from '../support/card-judge.ts'
import { makeSparseFile } from '../support/loop.ts'
import { DEMO_LAYOUT, demoProject, unpackDemo } from '../support/project.ts'
import { journalOf, Reader } from '../support/readers.ts'
import { startStation } from '../support/station.ts'
import { namesOfDone, seenOut, startBatch } from '../support/station-page.ts'
import { needRoot, needTool } from '../support/tools.ts'

test('eight cards in two swaps of four: no card is another node than its name on the page', async (t) => {
  if (!needRoot(t) || needTool(t, 'mcopy', 'mtools') === undefined) return
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = demoProject(t)
  unpackDemo(project)
  const file = project.file('cluster.yaml')
  const addresses = new Map(
    Array.from({ length: 8 }, (_, index) => [`sg${index + 1}`, `192.168.2.${index + 20}`]),
  )
  const lines = [...addresses].map(([name, address]) => `  ${name}: { model: pi4, address: ${address}/24 }\n`)
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^nodes:\n[\s\S]*/m, `nodes:\n${lines.join('')}`))
  const readers = ['one', 'two', 'three', 'four'].map((name) => new Reader(t, project, name))
  const paths = readers.map(({ path }) => path)
  const station = await startStation(t, project, { readers: paths })
  const { page, errors } = await openPage(browser, station.address())
  await startBatch(page)
  const made: string[] = []
  for (const swap of [1, 2]) {
    for (const [index, reader] of readers.entries()) {
      makeSparseFile(project.file(`${swap}-${index}`), DEMO_LAYOUT.length)
      reader.insert(`${swap}-${index}`)
    }
    const names = await namesOfDone(page, paths)
    for (const reader of readers) reader.eject()
    await seenOut(page, readers.length)
    for (const [index, path] of paths.entries()) {
      const node = names.get(path) ?? ''
      const address = addresses.get(node) ?? 'of no node'
      const expected = { cluster: 'demo', node, address, stock: project.file('stock.img'), ...DEMO_LAYOUT }
      assert.deepEqual(judgeCard(project.file(`${swap}-${index}`), expected), [], `${swap}: ${path}: ${node}`)
      made.push(node)
    }
  }
  assert.deepEqual(made.sort(), [...addresses.keys()])
  assert.deepEqual(Object.keys(journalOf(project).done).sort(), made)
  assert.deepEqual(errors, [])
})
