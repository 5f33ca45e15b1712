/** What a plan remembers of the one before it: the receipt, and what stood in its place in earlier versions. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { bootFilesOf, bytesOf } from '../../src/boot/boot-files.ts'
import { SAVED_CMDLINE } from '../../src/boot/payload-paths.ts'
import type { Node } from '../../src/cluster/node.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { RECEIPT_FILE, type Receipt } from '../../src/customise/receipt.ts'
import { packageRoot } from '../../src/package-root.ts'
import { KiB } from '../../src/units.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { type Files, stockFiles } from './stock.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

const plan = (files: Files, node: Node) =>
  planBoot({
    cluster: makeCluster([node]),
    node,
    image: { key: 'k', version: 'v', arch: 'arm64' },
    boot: bootFilesOf(files),
    overlays,
    keys,
  })

async function planned(files: Files, node: Node): Promise<Files> {
  const result = new Map(files)
  for (const { path, after } of (await plan(files, node)).files) {
    if (after === null) result.delete(path)
    else result.set(path, after)
  }
  return result
}

const text = (files: Files, path: string): string => {
  const bytes = files.get(path)
  assert.ok(bytes !== undefined, `${path} is there`)
  return Buffer.from(bytes).toString('utf8')
}
const receiptOf = (files: Files): Receipt => JSON.parse(text(files, RECEIPT_FILE))

const oneil = makeNode({ overlays: ['hostname', 'user', 'ssh', 'cgroups'].map((name) => use(name)) })
const carter = makeNode({ name: 'carter', overlays: ['hostname', 'user'].map((name) => use(name)) })

/** The parameters that oneil has and carter doesn't. */
const added = 'cgroup_enable=memory'

/** Raspberry Pi OS has started once from this card: its switches are gone, the disk has another id. */
function booted(files: Files): Files {
  // What the shell of Stretch's first boot does.
  const saved = files.has(SAVED_CMDLINE) ? SAVED_CMDLINE : 'cmdline.txt'
  const line = text(files, saved)
    .replace(/ systemd\.run=.*/, '')
    .replace(/ init=\S+/, '')
    .replace(/PARTUUID=\w+/, 'PARTUUID=feedface')
  return new Map(files).set('cmdline.txt', bytesOf(line))
}

/** As versions wrote it that kept the command line in node.json. */
function asWrittenBefore(files: Files, { withReceipt }: { withReceipt: boolean }): Files {
  const result = new Map(files)
  const { cmdline, ...receipt } = receiptOf(files)
  if (withReceipt) result.set(RECEIPT_FILE, bytesOf(JSON.stringify(receipt)))
  else result.delete(RECEIPT_FILE)
  const record = { ...JSON.parse(text(files, 'piimage/node.json')), cmdline, files: ['ssh'] }
  return result.set('piimage/node.json', bytesOf(JSON.stringify(record)))
}

const cards: { name: string; card: (files: Files) => Files }[] = [
  { name: 'a receipt', card: (files) => files },
  {
    name: 'a receipt without the command line',
    card: (files) => asWrittenBefore(files, { withReceipt: true }),
  },
  { name: 'node.json alone', card: (files) => asWrittenBefore(files, { withReceipt: false }) },
]
for (const system of ['bookworm', 'trixie', 'stretch']) {
  for (const { name, card } of cards) {
    test(`${system}, by ${name}: a card that has started before becomes another node`, async () => {
      const first = card(await planned(stockFiles(system), oneil))
      assert.match(text(first, system === 'stretch' ? SAVED_CMDLINE : 'cmdline.txt'), /cgroup/)
      const used = booted(first)
      const again = await planned(used, carter)
      const fresh = await planned(booted(stockFiles(system)), carter)
      assert.equal(text(again, 'cmdline.txt'), text(fresh, 'cmdline.txt'))
      assert.ok(!text(again, 'cmdline.txt').includes(added))
      assert.ok(!again.has('ssh'), 'a file that oneil alone had')
      // The third node starts from what the second left.
      const back = await planned(booted(again), oneil)
      assert.equal(
        text(back, 'cmdline.txt'),
        text(await planned(booted(stockFiles(system)), oneil), 'cmdline.txt'),
      )
    })
  }
}

test('the receipt names what was added to the command line, and node.json what the node is', async () => {
  const files = await planned(stockFiles('bookworm'), oneil)
  assert.deepEqual(receiptOf(files).cmdline, [added])
  assert.deepEqual(Object.keys(JSON.parse(text(files, 'piimage/node.json'))), [
    'node',
    'cluster',
    'role',
    'model',
    'image',
    'system',
    'overlays',
  ])
})

test('a file of the image is kept up to 16 KiB, and comes back', async () => {
  const config = `${'#'.repeat(16 * KiB - 1)}\n`
  const gadget = makeNode({ model: 'zerow', overlays: [use('usb-gadget')] })
  const stock = stockFiles('bookworm', { 'config.txt': `auto_initramfs=1\n${config.slice(17)}` })
  assert.equal(stock.get('config.txt')?.length, 16 * KiB)
  const card = await planned(stock, gadget)
  assert.equal(receiptOf(card).stock['config.txt'], text(stock, 'config.txt'))
  assert.equal(receiptOf(card).stock['cmdline.txt'], text(stock, 'cmdline.txt'))
  assert.equal(text(await planned(card, carter), 'config.txt'), text(stock, 'config.txt'))

  const larger = new Map(stock).set('config.txt', bytesOf(`${text(stock, 'config.txt')}\n`))
  assert.deepEqual(receiptOf(await planned(larger, gadget)).stock['config.txt'], { kept: false })
})

test('how the image had a file is not known any more: no later plan takes ours for it', async () => {
  // The seed of HypriotOS holds a password, which no receipt repeats.
  const stock = stockFiles('hypriotos-1.12.3')
  const first = await planned(stock, oneil)
  assert.deepEqual(receiptOf(first).stock['user-data'], { kept: false })
  const second = await planned(first, carter)
  assert.deepEqual(receiptOf(second).stock['user-data'], { kept: false })
  const { files, warnings } = await plan(second, carter)
  assert.deepEqual(files, [])
  assert.deepEqual(warnings, [])
})

test('a receipt of another version, or a torn one, is no memory', async () => {
  const card = booted(await planned(stockFiles('bookworm'), oneil))
  for (const damaged of ['{ "receiptVersion": 9 }', '{']) {
    const again = await planned(new Map(card).set(RECEIPT_FILE, bytesOf(damaged)), carter)
    assert.match(text(again, 'cmdline.txt'), new RegExp(`feedface.* ${added} systemd\\.run=`))
  }
})
