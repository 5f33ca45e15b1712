/**
 * Arguments can be read by every process of a node, and an environment by those
 * of the same user: no secret stands in either, whatever a step starts. Seen by
 * a spy in the place of every program, so that none is too quick to be caught.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { run } from '../support/tools.ts'
import { type Archive, openArchive } from './archive.ts'
import { Rig } from './rig.ts'
import { layScene, type Scene, sceneSecrets, scenesOf } from './scenes.ts'

const chores: (() => void)[] = []
after(() => {
  for (const chore of chores) chore()
})
let archive: Archive | undefined
before(async () => {
  if (process.getuid?.() !== 0 || run('gpg', ['--version']).status !== 0) return
  archive = await openArchive(
    (chore) => chores.push(chore),
    'bookworm',
    run('dpkg', ['--print-architecture']).stdout.trim(),
  )
})

const steps = [
  'docker',
  'host-keys',
  'k3s',
  'kubeadm',
  'network',
  'portainer',
  'swarm',
  'swarm-gather',
  'user',
  'wifi',
]

for (const step of steps)
  test(`${step}: no secret is an argument of anything, or in an environment`, async (t) => {
    const ways =
      archive === undefined ? [['none', {}] as const] : Object.entries(scenesOf(archive)[step] ?? {})
    for (const [way, scene] of ways) {
      const rig = await Rig.open(t)
      if (rig === undefined) return
      layScene(rig, step, scene as Scene)
      const kept = [...rig.tree().values()].map(({ what }) => what).join('\n')
      rig.spy()
      const ran = await rig.boot()
      assert.equal(rig.status().state, 'done', `${step}, ${way}: ${ran.output}`)
      const seen = rig.readFact('seen') ?? ''
      assert.match(seen, /^sh .*50-/m, 'the spy sees what is started')
      assert.match(seen, /^PIIMAGE_NODE=oneil$/m, 'and its environment')
      for (const secret of sceneSecrets) {
        assert.ok(!seen.includes(secret), `${step}, ${way}: ${secret}`)
        assert.ok(!ran.output.includes(secret), `${step}, ${way}: ${secret} in the journal`)
      }
      if (
        !['docker', 'swarm-gather'].includes(step) &&
        !(step === 'user' && way === 'made') &&
        !(step === 'swarm' && way === 'head')
      )
        assert.ok(
          sceneSecrets.some((secret) => kept.includes(secret)),
          `${step}, ${way} has secrets`,
        )
    }
  })

test('the spy would see it', async (t) => {
  const rig = await Rig.open(t)
  if (rig === undefined) return
  layScene(rig, 'ssh', {
    files: { 'opt/piimage/firstboot.d/60-loose.sh': 'env CARELESS=WIFI-PSK true\ndate -d CA-KEY || :\n' },
  })
  rig.spy()
  await rig.boot()
  const seen = rig.readFact('seen') ?? ''
  for (const secret of ['WIFI-PSK', 'CA-KEY']) assert.ok(seen.includes(secret))
})
