/** The page in Chromium: the main job by keyboard alone, audits of every view, its weight, names of strangers as text. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { oddCard } from '../support/bad-card.ts'
import { auditPage, openBrowser, openPage, PATIENCE_MS } from '../support/browser.ts'
import { makeSparseFile } from '../support/loop.ts'
import { DEMO_LAYOUT, demoProject } from '../support/project.ts'
import { journalOf, makeCards, Reader } from '../support/readers.ts'
import { startStation } from '../support/station.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

/** Where screenshots go, for people; nowhere without it. */
const shots = process.env.PIIMAGE_SCREENSHOTS
const VIEWS = ['cards', 'cluster', 'labels'] as const

async function shoot(page: Page, name: string): Promise<void> {
  if (shots === undefined) return
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true })
}

/** Tab until what has the keyboard is called so. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab')
    const label = await page.evaluate(() => {
      const doc = (
        globalThis as unknown as { document: { activeElement: { textContent: string; id: string } } }
      ).document
      return doc.activeElement.textContent
    })
    if (name.test(label)) return
  }
  assert.fail(`the keyboard does not reach ${name}`)
}

test('by keyboard alone: a card is confirmed, written and done', async (t) => {
  if (!needRoot(t)) return
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = demoProject(t)
  const reader = new Reader(t, project, 'reader')
  const station = await startStation(t, project, { readers: [reader.path] })
  const { page, errors, bytes } = await openPage(browser, station.address())
  const table = page.getByRole('heading', { name: 'Cards of demo' })
  await table.waitFor()
  makeCards(project, 'card')
  reader.insert('card')
  await page.getByRole('button', { name: 'Write …' }).waitFor()
  await tabTo(page, /^Write …$/)
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await shoot(page, 'confirm-1440')
  assert.deepEqual(await auditPage(page), [])
  // No is as near as yes.
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  assert.equal((await station.slot(reader.path))?.work, null)
  await tabTo(page, /^Write …$/)
  await page.keyboard.press('Enter')
  await tabTo(page, /^Erase, and make it hammond$/)
  await page.keyboard.press('Enter')
  await page.getByText('Done: written and read back').waitFor()
  assert.deepEqual(Object.keys(journalOf(project).done), ['hammond'])
  const card = page.getByRole('article')
  assert.match(
    await card.innerText(),
    /hammond\s+Take it out\. Write “hammond” on it\.[\s\S]*ssh ops@192\.168\.2\.10/,
  )
  // Said aloud.
  assert.match(await page.getByRole('status').last().innerText(), /hammond is done: take the card out/)
  await shoot(page, 'done-1440')
  assert.deepEqual(await auditPage(page), [])
  reader.eject()
  await page.getByText('It is out.').waitFor()
  reader.insert('card')
  await page.getByText('Compared once more: equal').waitFor()
  assert.deepEqual(errors, [])
  assert.ok(bytes() < 150_000, `${bytes()} bytes`)
})

test('every view, wide and narrow, light and dark: nothing for axe-core to find, nothing wider than the screen', async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = demoProject(t)
  const station = await startStation(t, project)
  for (const [width, dark] of [
    [360, false],
    [360, true],
    [1440, false],
    [1440, true],
  ] as const) {
    const { page, errors } = await openPage(browser, station.address(), { width, dark })
    for (const view of VIEWS) {
      await page.goto(`${station.origin}/#${view}`)
      await page.getByRole('heading', { level: 1, name: new RegExp(view, 'i') }).waitFor()
      if (view === 'cluster') {
        await page.getByRole('button', { name: 'Show the plan of hammond' }).click()
        await page.getByText('to write,').waitFor()
      }
      assert.deepEqual(await auditPage(page), [], `${view} ${width} ${dark}`)
      const wide = await page.evaluate('document.documentElement.scrollWidth')
      assert.equal(wide, width, `${view} at ${width}`)
      await shoot(page, `${view}-${width}-${dark ? 'dark' : 'light'}`)
    }
    assert.deepEqual(errors, [])
    await page.context().close()
  }
})

test('names on cards are shown as text, what cannot be seen spelled out', async (t) => {
  if (!needRoot(t) || needTool(t, 'mkfs.vfat', 'dosfstools') === undefined) return
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = demoProject(t)
  const reader = new Reader(t, project, 'reader')
  writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length))
  assert.equal(
    run('mke2fs', ['-q', '-t', 'ext4', '-L', '<img onerror>\u202e', project.file('card')]).status,
    0,
  )
  const station = await startStation(t, project, { readers: [reader.path] })
  const { page, errors } = await openPage(browser, station.address())
  reader.insert('card')
  const card = page.getByRole('article')
  await card.getByText('which piimage did not write').waitFor()
  assert.match(await card.innerText(), /It holds <img onerror>\\u202e \(ext4\)/)
  assert.equal(await page.locator('img').count(), 0)
  assert.deepEqual(errors, [])
})

test('at work, failed, and the questions: nothing for axe-core to find, in the dark on a phone', async (t) => {
  const card = await oddCard(t, DEMO_LAYOUT.length, {
    delayMs: 100,
    flipWriteAt: DEMO_LAYOUT.root.offset + 4096,
  })
  const browser = await openBrowser(t)
  if (card === undefined || browser === undefined) return
  const project = demoProject(t)
  const large = new Reader(t, project, 'large')
  const station = await startStation(t, project, { readers: [card.path, large.path] })
  makeSparseFile(project.file('disk'), 300 * 1024 ** 3)
  large.insert('disk')
  const { page, errors } = await openPage(browser, station.address(), { width: 360, dark: true })
  const slot = (path: string) => page.getByRole('article', { name: path, exact: true })
  await slot(card.path).getByRole('button', { name: 'Write …' }).waitFor()

  await slot(large.path).getByRole('button', { name: 'Write …' }).click()
  const erase = page.getByRole('button', { name: 'Erase, and make it hammond' })
  await page.getByText(/more than cards usually have/).waitFor()
  assert.equal(await erase.isDisabled(), true)
  await page.getByRole('textbox').fill(' 322122547200 ')
  assert.equal(await erase.isDisabled(), false)
  await shoot(page, 'proof-360-dark')
  assert.deepEqual(await auditPage(page), [], 'the proof')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Start a batch …' }).click()
  await page.getByRole('dialog').getByRole('checkbox').first().waitFor()
  assert.equal(await page.getByRole('checkbox').count(), 1, 'no batch takes the large one')
  assert.deepEqual(await auditPage(page), [], 'a batch')
  await page.keyboard.press('Escape')

  await slot(card.path).getByRole('button', { name: 'Write …' }).click()
  await erase.click()
  await page.getByText('Leave the card in.').waitFor()
  assert.deepEqual(await auditPage(page), [], 'at work')
  await slot(card.path).getByText('differs from what was written').waitFor()
  await shoot(page, 'failed-360-dark')
  assert.deepEqual(await auditPage(page), [], 'failed')
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
  assert.deepEqual(errors, [])
})

test('the station ends while its page is open: the page says so', async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const station = await startStation(t, demoProject(t))
  const { page } = await openPage(browser, station.address())
  await page.getByRole('heading', { name: 'Cards of demo' }).waitFor()
  await station.stop()
  await page.getByRole('alert').getByText('The station does not answer').waitFor()
})

test('a label says to a camera how to log in, and what the card got', async (t) => {
  const zbarimg = needTool(t, 'zbarimg', 'zbar-tools')
  const browser = await openBrowser(t)
  if (browser === undefined || zbarimg === undefined) return
  const project = demoProject(t)
  const plan = 'ab'.repeat(32)
  const card = { image: 'x', sha256: 'x', plan, drive: '/dev/sda', at: '2026-01-02T03:04:05.000Z' }
  const journal = { journalVersion: 1, cluster: 'demo', done: { oneil: card } }
  writeFileSync(project.file('.piimage-batch.json'), JSON.stringify(journal))
  const station = await startStation(t, project)
  const { page, errors } = await openPage(browser, station.address(), { dark: true })
  await page.goto(`${station.origin}/#labels`)
  await page.emulateMedia({ media: 'print' })
  const codes = page.getByRole('img', { name: /QR code/ })
  await codes.first().waitFor()
  const seen: string[] = []
  for (const code of await codes.all()) {
    const path = project.file('code.png')
    await code.screenshot({ path })
    seen.push(run(zbarimg, ['--quiet', '--raw', path]).stdout.trim())
  }
  assert.deepEqual(seen, [
    'ssh ops@192.168.2.10',
    `ssh ops@192.168.2.11\nsha256:${plan}`,
    'ssh ops@192.168.2.12',
  ])
  assert.deepEqual(errors, [])
})

test('from another machine: the password opens the page, a wrong one does not; two browsers see the same', async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = demoProject(t)
  writeFileSync(project.file('password'), 'correct horse battery\n')
  const station = await startStation(t, project, {
    listen: '127.0.0.2:0',
    passwordFile: project.file('password'),
  })
  const origin = new URL(station.address()).origin
  const open = async (password: string) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    context.setDefaultTimeout(PATIENCE_MS)
    const page = await context.newPage()
    await page.goto(`${origin}/`)
    assert.deepEqual(await auditPage(page), [])
    await page.getByLabel('Password').fill(password)
    await page.keyboard.press('Enter')
    return page
  }
  const stranger = await open('correct horse')
  await stranger.getByText('That is not the password.').waitFor()
  const begin = (page: Page) => page.getByRole('button', { name: 'Start a batch …' })
  const pages = [await open('correct horse battery'), await open('correct horse battery')] as const
  for (const page of pages) await begin(page).waitFor()
  const [one, other] = pages
  await one.getByRole('button', { name: 'Start a batch …' }).click()
  await one.getByRole('button', { name: 'Start the batch' }).click()
  for (const page of pages) await page.getByText('The batch is on.').waitFor()
  await other.getByRole('button', { name: 'Stop the batch' }).click()
  for (const page of pages) await begin(page).waitFor()
})
