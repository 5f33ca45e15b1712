/** A card made another node: the files of a fresh card, nothing left of the node before, and nothing half-done. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { failingCard } from '../support/bad-card.ts'
import { bootFiles } from '../support/boot-files.ts'
import { attachLoop } from '../support/loop.ts'
import { cutOut, DEMO_LAYOUT, demoProject, type Project, type ProjectOptions } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const HASH =
  '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/'
const PSK = 'ab12cd34'.repeat(8)
const CARTER_PSK = '12cdef09'.repeat(8)

/** oneil has what carter has not: a password, another Wi-Fi, kernel parameters, files of an overlay. */
function differentNodes(t: TestContext, options: ProjectOptions = {}): Project {
  const project = demoProject(t, options)
  const text = readFileSync(project.file('cluster.yaml'), 'utf8')
  const [head = ''] = text.split('nodes:')
  writeFileSync(
    project.file('cluster.yaml'),
    `${head}nodes:
  oneil:
    model: pi3b+
    address: 192.168.2.11/24
    user: { passwordHash: '${HASH}' }
    wifi: { ssid: gate, pskFile: oneil.psk, country: NL }
    overlays: [ greeting ]
  carter:
    model: pi4
    user: { name: sam }
    wifi: { ssid: gate, pskFile: carter.psk, country: GB }
    overlays: [ { cgroups: false } ]
`,
  )
  writeFileSync(project.file('oneil.psk'), `${PSK}\n`, { mode: 0o600 })
  writeFileSync(project.file('carter.psk'), `${CARTER_PSK}\n`, { mode: 0o600 })
  mkdirSync(project.file('overlays/greeting'), { recursive: true })
  writeFileSync(
    project.file('overlays/greeting/overlay.yaml'),
    `name: greeting
summary: Files on the boot partition
edits:
  - file: { path: greeting/hello.txt, content: "hello\\n" }
  - file: { path: issue.txt, content: "replaced\\n" }
  - cmdline: { set: { console: tty1 }, remove: [rootwait] }
`,
  )
  return project
}

async function flash(project: Project, node: string, file: string): Promise<void> {
  const said = await project.piimage('flash', '--node', `${node}=${file}`, '--yes')
  assert.equal(said.status, 0, said.stderr)
}

test('oneil becomes carter: the files of a fresh carter, the root untouched, no secret of oneil left', async (t) => {
  const fsck = needTool(t, 'fsck.fat', 'dosfstools')
  if (fsck === undefined) return
  const project = differentNodes(t)
  await flash(project, 'oneil', 'card.img')
  await flash(project, 'carter', 'fresh.img')
  const before = readFileSync(project.file('card.img'))
  const hostKey =
    (await bootFiles(project.file('card.img'))).get('piimage/secrets/ssh_host_ed25519_key') ?? ''
  const secrets = [HASH, PSK, hostKey.split('\n')[2] ?? '']
  for (const secret of secrets) assert.ok(before.includes(secret), `oneil's card has ${secret}`)

  const dry = await project.piimage('customise', 'card.img', '--node', 'carter', '--dry-run')
  assert.equal(dry.status, 0, dry.stderr)
  for (const secret of [...secrets, CARTER_PSK]) assert.ok(!dry.stdout.includes(secret), 'shown by --dry-run')
  assert.match(dry.stdout, /^--- greeting\/hello\.txt\n\+\+\+ \/dev\/null$/m)
  assert.ok(readFileSync(project.file('card.img')).equals(before), '--dry-run writes nothing')

  const said = await project.piimage('customise', 'card.img', '--node', 'carter')
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, /root file system is as it was/)
  assert.deepEqual(await bootFiles(project.file('card.img')), await bootFiles(project.file('fresh.img')))
  const after = readFileSync(project.file('card.img'))
  for (const secret of secrets) assert.ok(!after.includes(secret), `${secret.slice(0, 8)}… is left`)
  const { boot } = DEMO_LAYOUT
  assert.ok(after.subarray(0, boot.offset).equals(before.subarray(0, boot.offset)))
  assert.ok(after.subarray(boot.offset + boot.length).equals(before.subarray(boot.offset + boot.length)))
  const checked = run(fsck, ['-n', cutOut(after, boot, project.file('fat'))])
  assert.equal(checked.status, 0, checked.stdout)

  const again = await project.piimage('customise', 'card.img', '--node', 'carter')
  assert.match(again.stdout, /is carter already, nothing was written/)
  const back = await project.piimage('customise', 'card.img', '--node', 'oneil')
  assert.equal(back.status, 0, back.stderr)
  await flash(project, 'oneil', 'fresh.img')
  assert.deepEqual(await bootFiles(project.file('card.img')), await bootFiles(project.file('fresh.img')))
})

test('an image without a receipt is taken as published', async (t) => {
  const project = differentNodes(t)
  assert.equal(run('sh', ['-c', 'xz -dc demo.img.xz >stock.img'], { cwd: project.folder }).status, 0)
  const said = await project.piimage('customise', 'stock.img', '--node', 'carter')
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stderr, /has no receipt/)
  await flash(project, 'carter', 'fresh.img')
  const [changed, fresh] = [
    await bootFiles(project.file('stock.img')),
    await bootFiles(project.file('fresh.img')),
  ]
  // The receipt can't say what was never checked: which image it is.
  for (const files of [changed, fresh]) files.delete('piimage-receipt.json')
  assert.deepEqual(changed, fresh)
})

test('a file that was changed since is planned over as it is', async (t) => {
  const mcopy = needTool(t, 'mcopy', 'mtools')
  if (mcopy === undefined) return
  const project = differentNodes(t)
  await flash(project, 'oneil', 'card.img')
  const at = `${project.file('card.img')}@@${DEMO_LAYOUT.boot.offset}`
  // What Raspberry Pi OS does at its first boot: another disk id, and no resize any more.
  const cmdline = (await bootFiles(project.file('card.img'))).get('cmdline.txt') ?? ''
  const booted = cmdline.replace('0de30de3-02', 'feedface-02').replace(' resize', '')
  assert.notEqual(booted, cmdline)
  writeFileSync(project.file('booted.txt'), booted)
  assert.equal(run(mcopy, ['-o', '-i', at, project.file('booted.txt'), '::cmdline.txt']).status, 0)
  const said = await project.piimage('customise', 'card.img', '--node', 'carter')
  assert.equal(said.status, 0, said.stderr)
  const now = (await bootFiles(project.file('card.img'))).get('cmdline.txt') ?? ''
  assert.match(now, /root=PARTUUID=feedface-02/)
  assert.doesNotMatch(now, /resize/)
})

test('a card, as a block device; refused while mounted', async (t) => {
  if (!needRoot(t)) return
  const project = differentNodes(t, { answer: true })
  await flash(project, 'oneil', 'oneil.img')
  copyFileSync(project.file('oneil.img'), project.file('card'))
  const loop = attachLoop(t, project.file('card'))
  const said = await project.piimage('customise', loop, '--node', 'carter')
  assert.equal(said.status, 0, said.stderr)
  await flash(project, 'carter', 'fresh.img')
  assert.deepEqual(await bootFiles(project.file('card')), await bootFiles(project.file('fresh.img')))

  const busy = join(project.folder, 'mnt')
  mkdirSync(busy)
  const { offset, length } = DEMO_LAYOUT.root
  cutOut(readFileSync(project.file('card')), { offset, length }, project.file('root'))
  const mounted = attachLoop(t, project.file('root'))
  assert.equal(run('mount', [mounted, busy]).status, 0)
  t.after(() => run('umount', [busy]))
  const refused = await project.piimage('customise', mounted, '--node', 'carter')
  assert.equal(refused.status, 5, refused.stderr)
  assert.match(refused.stderr, /is mounted/)
  run('umount', [busy])
})

test('stopped half-way: the card is as it was', async (t) => {
  const stop = new AbortController()
  const project = differentNodes(t, { signal: stop.signal })
  await flash(project, 'oneil', 'card.img')
  const before = readFileSync(project.file('card.img'))
  const said = await project.piimageWatched(
    (text) => {
      if (/^verifying /m.test(text)) stop.abort(new Error('stop'))
    },
    'customise',
    'card.img',
    '--node',
    'carter',
  )
  assert.equal(said.status, 130, said.stderr)
  assert.match(said.stderr, /it is as it was before/)
  assert.ok(readFileSync(project.file('card.img')).equals(before))
})

test('a card that fails to write is left without a partition table, and says so', async (t) => {
  const project = differentNodes(t)
  await flash(project, 'oneil', 'oneil.img')
  const card = await failingCard(t, DEMO_LAYOUT.length, 'pwrite')
  if (card === undefined) return
  copyFileSync(project.file('oneil.img'), card.backing)
  let failing = false
  const said = await project.piimageWatched(
    (text) => {
      if (failing || !/^writing /m.test(text)) return
      failing = true
      card.startFailing()
    },
    'customise',
    card.path,
    '--node',
    'carter',
    '--yes',
  )
  assert.equal(said.status, 5, said.stderr)
  assert.match(said.stderr, /left without a partition table/)
  assert.ok(readFileSync(card.backing).subarray(0, 512).equals(Buffer.alloc(512)))
})

test('another image than the node asks for is refused', async (t) => {
  const project = differentNodes(t)
  await flash(project, 'oneil', 'card.img')
  const lock = JSON.parse(readFileSync(project.file('images.lock.json'), 'utf8'))
  lock.images['other-arm64-lite@1'] = {
    ...(Object.values(lock.images)[0] as object),
    os: 'other',
    release: null,
    version: '1',
  }
  writeFileSync(project.file('images.lock.json'), JSON.stringify(lock))
  const cluster = readFileSync(project.file('cluster.yaml'), 'utf8')
  writeFileSync(
    project.file('cluster.yaml'),
    cluster.replace('model: pi4', 'model: pi4\n    image: other-arm64-lite@1'),
  )
  const said = await project.piimage('customise', 'card.img', '--node', 'carter')
  assert.equal(said.status, 2, said.stderr)
  assert.match(said.stderr, /holds demo-trixie-arm64-lite@2025-12-05; carter is for other-arm64-lite@1/)
})
