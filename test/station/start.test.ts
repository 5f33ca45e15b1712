/** A cluster that is not there yet: the questions of `init` on the page, and what comes of them. */
import assert from 'node:assert/strict'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Page } from 'playwright-core'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { sha512crypt } from '../../src/secrets/sha512crypt.ts'
import type { InitQuestions } from '../../src/work/init-form.ts'
import { auditPage, openBrowser, openPage } from '../support/browser.ts'
import { type Project, runPiimage } from '../support/project.ts'
import { journalOf, makeCards, Reader } from '../support/readers.ts'
import { startStation } from '../support/station.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot } from '../support/tools.ts'

const PASSPHRASE = 'correct horse battery'
const FORM = { template: 'basic', nodes: '3', models: 'pi4', image: 'newest', login: 'new' }

/** An empty folder called `pis`, which is its person's home, too. */
function emptyFolder(t: TestContext, { key = false } = {}): Project {
  const folder = join(tempFolder(t), 'pis')
  mkdirSync(join(folder, '.ssh'), { recursive: true })
  if (key)
    writeFileSync(
      join(folder, '.ssh', 'id_ed25519.pub'),
      `${makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop').publicLine}\n`,
    )
  return {
    folder,
    file: (name) => join(folder, name),
    beforeRemoval: () => {},
    piimage: (...args) => runPiimage(folder, args),
    piimageWatched: (onText, ...args) => runPiimage(folder, args, { onText }),
  }
}

/** Names with their modes, and the bytes of what is the same each time. */
const madeIn = ({ folder }: Project) =>
  readdirSync(folder)
    .filter((name) => !/^(cache|\.ssh|\.+piimage-batch)/.test(name))
    .sort()
    .map((name) => [
      name,
      statSync(join(folder, name)).mode & 0o777,
      /^(cluster\.yaml|\.gitignore|wifi\.passphrase)$/.test(name)
        ? readFileSync(join(folder, name), 'utf8')
        : '',
    ])

const cases: {
  what: string
  key?: boolean
  form: Record<string, string>
  /** What the person says on the terminal, in turn. */
  answers: string[]
}[] = [
  { what: 'nothing but what stands there', form: FORM, answers: ['', '', '', '', 'new', ''] },
  {
    what: "the person's own key, five of another board",
    key: true,
    form: { ...FORM, nodes: '5', models: 'pi5', login: '.ssh/id_ed25519.pub' },
    answers: ['', '5', 'pi5', '', '', ''],
  },
  {
    what: 'names, boards of each, one without Ethernet and in 32 bits',
    form: {
      ...FORM,
      nodes: 'alpha, beta',
      models: 'pi4 zerow',
      ssid: 'Attic: 2nd floor',
      country: 'nl',
      passphrase: PASSPHRASE,
    },
    answers: ['1', 'alpha, beta', 'pi4 zerow', '', 'new', 'Attic: 2nd floor', 'nl', PASSPHRASE],
  },
  {
    what: 'another template, with Wi-Fi of its own',
    key: true,
    form: { ...FORM, template: 'magi', login: '.ssh/id_ed25519.pub', ssid: 'attic', passphrase: PASSPHRASE },
    answers: ['magi', '', 'attic', '', PASSPHRASE],
  },
  { what: 'the demo', form: { ...FORM, template: 'demo' }, answers: ['demo'] },
]
for (const { what, key, form, answers } of cases)
  test(`the page makes what init makes, to the byte: ${what}`, async (t) => {
    const onTerminal = emptyFolder(t, { key })
    const left = [...answers]
    const said = await runPiimage(onTerminal.folder, ['init', '.'], { ask: async () => left.shift() })
    assert.equal(said.status, 0, said.stderr)
    assert.deepEqual(left, [])

    const onPage = emptyFolder(t, { key })
    const station = await startStation(t, onPage)
    assert.equal((await station.table()).cluster.canInit, true)
    const answered = await station.order('init', form)
    assert.equal(answered.status, 200, answered.text)
    assert.deepEqual(madeIn(onPage), madeIn(onTerminal))
    const { cluster } = await station.until('the cluster is read', (table) => !table.cluster.canInit && table)
    assert.deepEqual([cluster.mistakes, cluster.problem], [[], null])
    assert.ok(cluster.nodes.length > 0)
    // There is one now.
    const again = await station.order('init', form)
    assert.equal(again.status, 409)
    assert.match(again.text, /cluster\.yaml is there already/)
    assert.deepEqual(madeIn(onPage), madeIn(onTerminal))
  })

test('what is wrong is told answer by answer, and nothing is made', async (t) => {
  const project = emptyFolder(t)
  const station = await startStation(t, project)
  const problemsOf = async (form: Record<string, string>) => {
    const { status, text } = await station.order('init', { ...FORM, ...form })
    assert.equal(status, 409, text)
    assert.ok(!text.includes('hunter'), 'no secret is shown')
    const { fields } = JSON.parse(text).error as { fields: Record<string, { message: string }> }
    return Object.fromEntries(Object.entries(fields).map(([field, { message }]) => [field, message]))
  }
  const many = await problemsOf({
    nodes: 'Alpha',
    login: 'none.pub',
    image: 'none.img',
    ssid: 'attic',
    country: 'Holland',
    passphrase: 'hunter2',
  })
  const { nodes, login, image, ...others } = many
  assert.deepEqual([nodes, login], ['the name "Alpha" is not a valid host name', 'there is no file none.pub'])
  assert.match(image ?? '', /called none\.img$/)
  assert.deepEqual(Object.keys(others).sort(), ['country', 'passphrase'])
  assert.deepEqual(await problemsOf({ models: 'zerow', wifi: 'yes' }), { ssid: 'which network?' })
  assert.deepEqual(await problemsOf({ models: 'pi9' }), { models: '"pi9" is not a known board' })
  assert.deepEqual(await problemsOf({ nodes: '0' }), { nodes: '0 must be 1 to 250' })
  assert.deepEqual(await problemsOf({ login: 'password', password: 'hunter' }), {
    password: 'the password is shorter than 8 characters',
  })
  assert.deepEqual(await problemsOf({ login: 'password', password: 'hunter22', again: 'hunter23' }), {
    again: 'the two are not the same',
  })
  assert.deepEqual(Object.keys(await problemsOf({ template: '../demo' })), ['template'])
  // Chosen, and then not said.
  const unsaid: Record<string, string>[] = [
    { image: '' },
    { login: '' },
    { models: '' },
    { wifi: 'yes', passphrase: PASSPHRASE },
  ]
  for (const form of unsaid)
    assert.deepEqual(
      Object.keys(await problemsOf(form)),
      Object.keys(form)
        .slice(0, 1)
        .map((field) => field.replace('wifi', 'ssid')),
    )
  writeFileSync(project.file('notes.txt'), 'x')
  assert.deepEqual(Object.keys(await problemsOf({ image: 'notes.txt' })), ['image'])
  const nonsense = await station.order('init', { ...FORM, nodes: { length: 1e9 } })
  assert.equal(nonsense.status, 409)
  assert.deepEqual(
    madeIn(project).map(([name]) => name),
    ['notes.txt'],
  )
})

test('a password is kept as its hash', async (t) => {
  const project = emptyFolder(t)
  const station = await startStation(t, project)
  const form = { ...FORM, login: 'password', password: 'correct horse', again: 'correct horse' }
  const { status, text } = await station.order('init', form)
  assert.equal(status, 200, text)
  const file = readFileSync(project.file('cluster.yaml'), 'utf8')
  const hash = /passwordHash: "(\$6\$([^$]+)\$[^"]+)"/.exec(file)
  assert.equal(sha512crypt('correct horse', hash?.[2] ?? ''), hash?.[1])
  assert.ok(!file.includes('correct horse'))
})

test('a cluster file of another name is none to start', async (t) => {
  const project = emptyFolder(t)
  const station = await startStation(t, project, { cluster: project.file('other.yaml') })
  assert.equal((await station.table()).cluster.canInit, false)
  assert.equal((await station.order('init', FORM)).status, 409)
  assert.equal(existsSync(project.file('cluster.yaml')), false)
})

test('nobody without the cookie, and no other site, starts a cluster or sees what is in the folder', async (t) => {
  const project = emptyFolder(t)
  const station = await startStation(t, project)
  const { origin, cookie } = station
  const body = JSON.stringify(FORM)
  const json = { 'content-type': 'application/json' }
  const tries: [headers: Record<string, string>, status: number][] = [
    [{ origin, ...json }, 401],
    [{ cookie, ...json }, 403],
    [{ cookie, origin: 'https://evil.example', ...json }, 403],
    [{ cookie, origin, 'sec-fetch-site': 'cross-site', ...json }, 403],
    [{ cookie, origin, host: 'evil.example', ...json }, 421],
    [{ cookie, origin, 'content-type': 'text/plain' }, 415],
  ]
  for (const [headers, status] of tries)
    assert.equal((await station.ask({ method: 'POST', path: '/api/init', headers, body })).status, status)
  assert.equal((await station.ask({ path: '/api/questions' })).status, 401)
  assert.deepEqual(madeIn(project), [])
  const { status, text } = await station.get('/api/questions')
  assert.equal(status, 200)
  const { templates, images } = JSON.parse(text) as InitQuestions
  assert.equal(templates[0]?.name, 'basic')
  assert.match(images.arm64?.key ?? '', /^raspios-\w+-arm64-lite@/)
  assert.match(images.armhf?.key ?? '', /^raspios-\w+-armhf-lite@/)
})

/** What a person's hand does, counted. */
function hand(page: Page) {
  let clicks = 0
  return {
    count: () => clicks,
    async click(role: 'button' | 'radio', name: string | RegExp) {
      clicks += 1
      await page.getByRole(role, { name }).click()
    },
    /** Open the list, and take one. */
    async choose(label: string, option: string | RegExp) {
      clicks += 2
      const list = page.getByLabel(label, { exact: true })
      const text = await list.locator('option', { hasText: option }).first().innerText()
      await list.selectOption({ label: text })
    },
  }
}

test('from an empty folder to a card, in the browser alone: few clicks', async (t) => {
  if (!needRoot(t)) return
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = emptyFolder(t)
  copyFileSync(join(packageRoot(), 'examples/demo/demo.img.xz'), project.file('trixie-arm64-lite.img.xz'))
  const reader = new Reader(t, project, 'reader')
  const station = await startStation(t, project, { readers: [reader.path] })
  const { page, errors, bytes } = await openPage(browser, station.address())
  await page.getByRole('heading', { level: 1, name: 'Start a cluster' }).waitFor()
  const { click, choose, count } = hand(page)
  await page.getByLabel('How many, or their names').fill('alpha beta')
  await choose('Which board', 'Raspberry Pi 5')
  await choose('System', /trixie-arm64-lite\.img\.xz/)
  await click('button', 'Make the cluster')
  await page.getByRole('heading', { level: 1, name: 'Cards of pis' }).waitFor()
  await page.getByText('0 of 2 nodes').waitFor()
  makeCards(project, 'card')
  reader.insert('card')
  await click('button', 'Write …')
  await click('button', 'Erase, and make it alpha')
  await page.getByText('Done: written and read back').waitFor()
  assert.deepEqual(Object.keys(journalOf(project).done), ['alpha'])
  assert.ok(count() <= 12, `${count()} clicks`)
  assert.deepEqual(errors, [])
  assert.ok(bytes() < 150_000, `${bytes()} bytes`)
})

test('by keyboard alone: a wrong answer has the keyboard, then the cluster is made', async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const project = emptyFolder(t)
  const station = await startStation(t, project)
  const { page, errors } = await openPage(browser, station.address())
  await page.getByRole('heading', { level: 1, name: 'Start a cluster' }).waitFor()
  await page.getByLabel('How many, or their names').waitFor()
  const focused = () =>
    page.evaluate(
      'document.activeElement.id || document.activeElement.value || document.activeElement.textContent',
    )
  const tabTo = async (what: string) => {
    for (let presses = 0; presses < 40; presses += 1) {
      if ((await focused()) === what) return
      await page.keyboard.press('Tab')
    }
    assert.fail(`the keyboard does not reach ${what}`)
  }
  await tabTo('nodes')
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.type('<img onerror>')
  // Enter in a field is the button.
  await page.keyboard.press('Enter')
  await page.getByText('✗ the name "<img" is not a valid host name').waitFor()
  assert.equal(await focused(), 'nodes')
  assert.equal(await page.locator('img').count(), 0)
  assert.equal(existsSync(project.file('cluster.yaml')), false)
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.type('2')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'Cards of pis' }).waitFor()
  assert.match(String(await focused()), /Cards of pis/)
  // What the station refused is no fault of the page.
  assert.deepEqual(
    errors.filter((text) => !/409/.test(text)),
    [],
  )
})

test('the questions, wide and narrow, light and dark, with mistakes: nothing for axe-core to find', async (t) => {
  const browser = await openBrowser(t)
  if (browser === undefined) return
  const station = await startStation(t, emptyFolder(t, { key: true }))
  for (const [width, dark] of [
    [360, false],
    [360, true],
    [1440, false],
    [1440, true],
  ] as const) {
    const { page } = await openPage(browser, station.address(), { width, dark })
    await page.getByRole('heading', { level: 1, name: 'Start a cluster' }).waitFor()
    await page.getByLabel('Which board', { exact: true }).selectOption('other')
    await page.getByLabel('System', { exact: true }).selectOption('other')
    await page.getByRole('radio', { name: 'Whoever knows a password' }).click()
    await page.getByLabel('One for each, in their order').fill('pi9 pi4')
    await page.getByRole('checkbox', { name: 'They use Wi-Fi, too' }).click()
    for (const state of ['asked', 'wrong']) {
      if (state === 'wrong') {
        await page.getByRole('button', { name: 'Make the cluster' }).click()
        await page.getByText('✗ "pi9" is not a known board').waitFor()
      }
      assert.deepEqual(await auditPage(page), [], `${state} ${width} ${dark}`)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `${state} at ${width}`)
      const shots = process.env.PIIMAGE_SCREENSHOTS
      if (shots !== undefined) {
        mkdirSync(shots, { recursive: true })
        const name = `start-${state}-${width}-${dark ? 'dark' : 'light'}.png`
        await page.screenshot({ path: join(shots, name), fullPage: true })
      }
    }
    await page.context().close()
  }
})
