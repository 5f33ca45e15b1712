/**
 * The installer on a disk that fills up under it: no secret is lost, no trigger
 * is taken away before there is something that goes on, and once there is room
 * the node ends where an untroubled one does.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type FakePi, lay, layPayload, secretTexts, stockCmdline, trigger } from './fake-pi.ts'
import { Rig } from './rig.ts'
import { layScene, scenesOf } from './scenes.ts'

const noArchive = { url: 'http://127.0.0.1:9', key: '', fingerprint: '', put() {}, be: async () => {} }

test('the installer on a full disk: nothing is lost, and the next boots finish', async (t) => {
  const rig = await Rig.open(t)
  if (rig === undefined) return
  const scene = scenesOf(noArchive).user?.renamed
  assert.ok(scene)
  layScene(rig, 'user', { files: { ...scene.files, 'usr/share/zoneinfo/America/New_York': 'TZif' } })
  rig.remove(['opt/piimage', 'var/lib/piimage', 'etc/piimage'])
  rig.lay({ 'etc/systemd/system/multi-user.target.wants/NetworkManager.service': '->/dev/null' })
  rig.keep()
  const boot = rig.bootFolder
  const card = join(boot, '..', 'card')
  layPayload({ fat: join(card, 'piimage') } as FakePi, { steps: { '10-a.sh': ':\n' } })
  lay(card, { 'cmdline.txt': `${stockCmdline} ${trigger}\n` })
  const insert = () => {
    rig.reset()
    for (const name of ['piimage', 'cmdline.txt']) rmSync(join(boot, name), { recursive: true, force: true })
    cpSync(card, boot, { recursive: true })
  }
  const hasTrigger = () => readFileSync(join(boot, 'cmdline.txt'), 'utf8').includes('systemd.run=')
  const contents = () => new Map([...rig.tree()].map(([path, { what }]) => [path, what]))

  insert()
  await rig.install()
  await rig.boot()
  assert.equal(rig.status().state, 'done')
  const end = contents()

  let failures = 0
  for (const pages of [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128]) {
    insert()
    rig.fill(pages * 4096)
    const ran = await rig.install()
    assert.equal(ran.status, 0, `${pages}: ${ran.output}`)
    const disk = [...contents().values()].join('\n')
    const fat = ['ssh_host_ed25519_key', 'password-hash', 'network/wlan0.nmconnection']
      .map((name) => join(boot, 'piimage/secrets', name))
      .map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : ''))
      .join('\n')
    for (const secret of secretTexts)
      assert.ok(disk.includes(secret) || fat.includes(secret), `${pages}: ${secret}`)
    const goesOn = contents().get('etc/systemd/system/multi-user.target.wants/piimage-firstboot.service')
    assert.ok(
      hasTrigger() || (goesOn !== undefined && disk.includes('payload=$root/opt/piimage')),
      `${pages} pages free`,
    )
    if (!contents().has('var/lib/piimage/installed')) {
      failures++
      assert.equal(rig.status().state, 'failed', `${pages}: ${ran.output}`)
      assert.match(
        rig.status().detail,
        /could not be written: \d+ MB are free|: \w+/,
        `${pages}: ${ran.output}`,
      )
      assert.match(rig.log(), /No space left|could not be written/)
    }
    rig.empty()
    if (hasTrigger()) await rig.install()
    const last = await rig.boot()
    assert.equal(rig.status().state, 'done', `${pages}: ${last.output}`)
    for (const [path, what] of contents()) assert.equal(what, end.get(path), `${pages} pages free: ${path}`)
  }
  assert.ok(failures > 2, 'the disk was too large')
})

test('a disk that takes no writes at all: three boots with the trigger, then without', async (t) => {
  const rig = await Rig.open(t)
  if (rig === undefined) return
  layScene(rig, 'ssh', {})
  rig.remove(['opt/piimage', 'var/lib/piimage'])
  layPayload({ fat: join(rig.bootFolder, 'piimage') } as FakePi)
  lay(rig.bootFolder, { 'cmdline.txt': `${stockCmdline} ${trigger}\n` })
  rig.fill(0)
  const kept: boolean[] = []
  for (let boots = 0; boots < 3; boots++) {
    await rig.install()
    kept.push(readFileSync(join(rig.bootFolder, 'cmdline.txt'), 'utf8').includes('systemd.run='))
  }
  assert.deepEqual(kept, [true, true, false])
})
