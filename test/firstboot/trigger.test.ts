import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fakePi, install, shells, trigger } from './fake-pi.ts'

/** What stood in cmdline.txt before, what must stand there after. */
const table: [name: string, before: string, after: string][] = [
  ['at the end', `root=/dev/x rootwait ${trigger}\n`, 'root=/dev/x rootwait\n'],
  ['at the front', `${trigger} root=/dev/x rootwait\n`, 'root=/dev/x rootwait\n'],
  [
    'scattered, in another order',
    'systemd.unit=kernel-command-line.target root=/dev/x systemd.run_success_action=reboot quiet systemd.run=/boot/piimage/install.sh rootwait\n',
    'root=/dev/x quiet rootwait\n',
  ],
  [
    'with a failure action',
    `root=/dev/x ${trigger} systemd.run_failure_action=reboot last\n`,
    'root=/dev/x last\n',
  ],
  ['CR LF, and nothing after', `root=/dev/x rootwait ${trigger}\r\n`, 'root=/dev/x rootwait\n'],
  ['no line end', `root=/dev/x rootwait ${trigger}`, 'root=/dev/x rootwait\n'],
  [
    'quoted blanks stay together',
    `root=/dev/x init=/bin/bash -c "mount -t proc proc /proc; systemd.run=/boot/firmware/piimage/install.sh" ${trigger}\n`,
    'root=/dev/x init=/bin/bash -c "mount -t proc proc /proc; systemd.run=/boot/firmware/piimage/install.sh"\n',
  ],
  [
    'a quoted value',
    'root=/dev/x systemd.run="/boot/firmware/piimage/install.sh" systemd.unit=kernel-command-line.target\n',
    'root=/dev/x\n',
  ],
  [
    "other people's systemd tokens stay",
    `systemd.mount-extra=a:b:c systemd.unit=rescue.target root=/dev/x ${trigger} systemd.runtime=1\n`,
    'systemd.mount-extra=a:b:c systemd.unit=rescue.target root=/dev/x systemd.runtime=1\n',
  ],
  [
    "somebody else's trigger stays whole",
    'root=/dev/x systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target\r\n',
    'root=/dev/x systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target\r\n',
  ],
  [
    "somebody else's behind ours keeps what is behind it",
    `root=/dev/x ${trigger} regdom=AT systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target\n`,
    'root=/dev/x regdom=AT systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target\n',
  ],
  [
    'started from a folder, as in a published image',
    'root=/dev/x systemd.run="/usr/bin/env --chdir=/boot sh firmware/piimage/install.sh" systemd.run_success_action=reboot last\n',
    'root=/dev/x last\n',
  ],
  ['no trigger', 'root=/dev/x  two  blanks resize \n', 'root=/dev/x  two  blanks resize \n'],
  [
    'the resize token keeps its place',
    `root=/dev/x resize cgroup_enable=memory ${trigger}\n`,
    'root=/dev/x resize cgroup_enable=memory\n',
  ],
  ['without a root it is left alone', `quiet ${trigger}\n`, `quiet ${trigger}\n`],
  [
    'a second line is not ours',
    `root=/dev/x ${trigger}\nsecond ${trigger}\n`,
    `root=/dev/x\nsecond ${trigger}\n`,
  ],
]

for (const shell of shells) {
  for (const [name, before, after] of table) {
    test(`cmdline.txt under ${shell}: ${name}`, (t) => {
      const pi = fakePi(t, { shell, earlySteps: [] })
      if (pi === undefined) return
      const path = join(pi.boot, 'cmdline.txt')
      writeFileSync(path, before)
      const ended = install(pi)
      assert.equal(ended.status, 0, ended.output)
      assert.equal(readFileSync(path, 'utf8'), after, ended.output)
      install(pi)
      assert.equal(readFileSync(path, 'utf8'), after)
    })
  }
}

test('the trigger is taken out of the file that the firmware reads, and of no other', (t) => {
  const pi = fakePi(t, { shell: shells[0], earlySteps: [] })
  if (pi === undefined) return
  const line = `root=/dev/x ${trigger}\n`
  mkdirSync(join(pi.boot, 'current'))
  for (const path of ['cmdline.txt', 'current/cmdline.txt']) writeFileSync(join(pi.boot, path), line)
  const environment = join(pi.boot, 'piimage/node.env')
  writeFileSync(environment, `${readFileSync(environment, 'utf8')}PIIMAGE_CMDLINE='current/cmdline.txt'\n`)
  const ended = install(pi)
  assert.equal(ended.status, 0, ended.output)
  assert.equal(readFileSync(join(pi.boot, 'current/cmdline.txt'), 'utf8'), 'root=/dev/x\n')
  assert.equal(readFileSync(join(pi.boot, 'cmdline.txt'), 'utf8'), line)
})
