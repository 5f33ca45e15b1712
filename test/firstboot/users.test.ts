/** Accounts beside the node's user, made by the shadow tools of this machine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Archive } from './archive.ts'
import { Rig } from './rig.ts'
import { layScene, type Scene, scenesOf } from './scenes.ts'

test('further users: groups, shell, keys, hash and what sudo asks; the same when it runs again', async (t) => {
  const rig = await Rig.open(t)
  if (rig === undefined) return
  // Nothing of this step comes from an archive.
  const archive = { url: '', put() {} } as unknown as Archive
  layScene(rig, 'user', scenesOf(archive).user?.beside as Scene)
  const read = (path: string) => rig.tree().get(path)?.what ?? ''
  for (let run = 0; run < 2; run++) {
    const ran = await rig.boot()
    assert.equal(rig.status().state, 'done', ran.output)
    const passwd = read('etc/passwd')
    assert.match(passwd, /^ops:x:1000:.*:\/home\/ops:\/bin\/bash$/m)
    assert.match(passwd, /^sam:x:1001:1001:.*:\/home\/sam:\/bin\/sh$/m)
    assert.match(passwd, /^guest:x:1002:1002:.*:\/usr\/sbin\/nologin$/m)
    assert.match(read('etc/group'), /^zigbee:x:\d{1,3}:sam$/m)
    assert.match(read('etc/shadow'), /^sam:\$6\$salt\$PASSWORDHASH:/m)
    assert.match(read('etc/shadow'), /^guest:\*:/m)
    assert.match(read('home/sam/.ssh/authorized_keys'), /600 1001:1001[\s\S]*AAAAsam sam/)
    assert.match(
      read('etc/sudoers.d/95-piimage'),
      /ops ALL=\(ALL:ALL\) NOPASSWD: ALL\nsam ALL=\(ALL:ALL\) ALL\n$/,
    )
    rig.remove(['var/lib/piimage/firstboot.done', 'var/lib/piimage/steps'])
  }
})
