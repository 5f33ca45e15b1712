import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import {
  calls,
  fakePi,
  install,
  lay,
  layPayload,
  modeOf,
  readRoot,
  secretTexts,
  shells,
  snapshot,
  statusOf,
  stockCmdline,
} from './fake-pi.ts'

for (const shell of shells) {
  describe(`install.sh under ${shell}`, () => {
    test('puts everything in place, and the second run changes nothing', (t) => {
      const pi = fakePi(t, { shell })
      if (pi === undefined) return
      const first = install(pi)
      assert.equal(first.status, 0, first.output)
      assert.equal(statusOf(pi).state, 'done', first.output)

      assert.equal(modeOf(pi, 'opt/piimage'), '700')
      assert.equal(readRoot(pi, 'etc/hello.conf'), 'hello\n')
      assert.equal(modeOf(pi, 'etc/hello.conf'), '640')
      if (shell !== 'busybox') assert.ok(calls(pi).some((call) => /^chown root:adm .*hello\.conf/.test(call)))
      assert.equal(readRoot(pi, 'etc/hostname'), 'oneil\n')
      assert.equal(readRoot(pi, 'etc/hosts'), '127.0.0.1\tlocalhost\n127.0.1.1\toneil.sgc.lan oneil\n')
      assert.match(readRoot(pi, 'etc/passwd'), /^ops:x:1000:1000:,,,:\/home\/ops:\/bin\/bash$/m)
      assert.equal(readRoot(pi, 'etc/shadow'), 'ops:$6$salt$PASSWORDHASH\n')
      assert.equal(readRoot(pi, 'home/ops/.profile'), '# profile\n')
      assert.equal(
        readRoot(pi, 'home/ops/.ssh/authorized_keys'),
        'ssh-ed25519 AAAAone one\nssh-ed25519 AAAAtwo two\n',
      )
      assert.equal(modeOf(pi, 'home/ops/.ssh/authorized_keys'), '600')
      assert.equal(modeOf(pi, 'home/ops/.ssh'), '700')
      assert.equal(readRoot(pi, 'etc/ssh/ssh_host_ed25519_key'), 'HOST-PRIVATE-KEY\n')
      assert.equal(modeOf(pi, 'etc/ssh/ssh_host_ed25519_key'), '600')
      assert.equal(modeOf(pi, 'etc/piimage/secrets'), '700')
      assert.equal(modeOf(pi, 'etc/piimage/secrets/password-hash'), '600')
      assert.equal(readFileSync(join(pi.boot, 'cmdline.txt'), 'utf8'), `${stockCmdline}\n`)
      const enabled = calls(pi)
        .filter((call) => / enable /.test(call))
        .join('\n')
      assert.match(enabled, /enable piimage-firstboot\.service/)
      assert.match(enabled, /enable ssh\.service/)

      const before = snapshot(pi.folder)
      const second = install(pi)
      assert.equal(second.status, 0, second.output)
      const { calls: _, ...after } = snapshot(pi.folder)
      delete before.calls
      assert.deepEqual(after, before)
    })
  })
}

test('no secret is left on the FAT', (t) => {
  const pi = fakePi(t)
  if (pi === undefined) return
  const onFat = () => Object.values(snapshot(pi.boot)).join('\n')
  for (const text of secretTexts) assert.ok(onFat().includes(text), `${text} should be there at first`)
  install(pi)
  for (const text of secretTexts) assert.ok(!onFat().includes(text), text)
  assert.ok(!existsSync(join(pi.fat, 'secrets')))
  assert.equal(modeOf(pi, 'etc/NetworkManager/system-connections/piimage-wlan0.nmconnection'), '600')
})

test('a secret that a power cut left half overwritten is never taken for one', (t) => {
  const pi = fakePi(t)
  if (pi === undefined) return
  install(pi)
  lay(pi.fat, { 'secrets/password-hash.wipe': '\0\0\0\0' })
  install(pi)
  assert.equal(readRoot(pi, 'etc/piimage/secrets/password-hash'), '$6$salt$PASSWORDHASH\n')
  assert.ok(!existsSync(join(pi.root, 'etc/piimage/secrets/password-hash.wipe')))
  assert.ok(!existsSync(join(pi.fat, 'secrets')))
})

test('a step that fails costs only itself; what went wrong stands on the FAT; the next run repairs it', (t) => {
  const pi = fakePi(t)
  if (pi === undefined) return
  lay(pi.fat, { 'early.d/05-broken.sh': 'echo the disk said no >&2; [ -e "$PIIMAGE_ROOT/repaired" ]\n' })
  const first = install(pi)
  assert.equal(first.status, 0, first.output)
  assert.equal(statusOf(pi).state, 'failed')
  assert.match(
    readFileSync(join(pi.fat, 'log/install.log'), 'utf8'),
    /the disk said no[\s\S]*steps failed: 05-broken/,
  )
  assert.match(readFileSync(join(pi.fat, 'log/status.json'), 'utf8'), /"state":"failed"/)
  assert.equal(readRoot(pi, 'etc/hostname'), 'oneil\n')
  assert.equal(
    readFileSync(join(pi.boot, 'cmdline.txt'), 'utf8'),
    `${stockCmdline}\n`,
    'else it would boot in a circle',
  )
  assert.ok(!existsSync(join(pi.root, 'var/lib/piimage/installed')))

  lay(pi.root, { repaired: '' })
  install(pi)
  assert.equal(statusOf(pi).state, 'done')
  assert.ok(existsSync(join(pi.root, 'var/lib/piimage/installed')))
})

test('another payload on the same card is a new identity', (t) => {
  const pi = fakePi(t)
  if (pi === undefined) return
  install(pi)
  lay(pi.root, { 'var/lib/piimage/firstboot.done': '', 'var/lib/piimage/steps/10-clock': '' })
  layPayload(pi)
  lay(pi.fat, { 'node.env': "PIIMAGE_HOSTNAME='carter'\nPIIMAGE_USER='ops'\n" })
  install(pi)
  assert.equal(readRoot(pi, 'etc/hostname'), 'carter\n')
  assert.ok(!existsSync(join(pi.root, 'var/lib/piimage/firstboot.done')))
  assert.ok(!existsSync(join(pi.root, 'var/lib/piimage/steps/10-clock')))
})

test('without systemctl the units are linked by hand', (t) => {
  const pi = fakePi(t)
  if (pi === undefined) return
  lay(pi.bin, { systemctl: '#!/bin/sh\nexit 1\n' })
  install(pi)
  assert.equal(
    snapshot(pi.root)['etc/systemd/system/multi-user.target.wants/piimage-firstboot.service'],
    'link /etc/systemd/system/piimage-firstboot.service',
  )
  assert.equal(
    snapshot(pi.root)['etc/systemd/system/multi-user.target.wants/ssh.service'],
    'link /lib/systemd/system/ssh.service',
  )
})
