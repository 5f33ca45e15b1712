/**
 * Cards that really boot. Slow (minutes each): only where PIIMAGE_FIXTURE_IMAGE
 * names the fixture image, a Debian in Raspberry Pi OS's layout;
 * test/fixtures/pi-like.gen.sh makes one.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { bootCard } from './booted-card.ts'
import { flashCard, noSecretsOn, passwordHash, type Trigger } from './flashed-card.ts'
import type { Guest } from './guest.ts'

const address = '172.19.181.1'

async function said(node: Guest, command: string): Promise<string> {
  const ran = await node.ssh(command)
  assert.equal(ran.status, 0, `${command}: ${ran.stderr}`)
  return ran.stdout.trim()
}

interface FirstBoot {
  trigger: Trigger
  boots: number
  again: boolean
}

const triggers: FirstBoot[] = [
  { trigger: 'cloud-init', boots: 1, again: true },
  // Its first boot ends in a reboot, so the second one is the ordinary boot that `again` is about.
  { trigger: 'systemd.run', boots: 2, again: false },
]

describe('a card flashed by piimage', { concurrency: true }, () => {
  for (const row of triggers) it(`becomes its node, started by ${row.trigger}`, (t) => becomesItsNode(t, row))
})

async function becomesItsNode(t: TestContext, { trigger, boots, again }: FirstBoot): Promise<void> {
  const image = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  if (image === undefined || !needRoot(t)) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['mcopy', 'mtools'],
    ['ssh', 'openssh-client'],
  ] as const) {
    if (needTool(t, tool, name) === undefined) return
  }
  const folder = tempFolder(t)
  const made = await flashCard(image, folder, trigger, address)
  // A login under strict checking proves the host key, the user's key and the address.
  const node = await bootCard({ ...made, folder, address, user: 'ops' })
  try {
    await node.waitForConsole(/piimage: oneil: firstboot done/, 600_000)
    assert.equal(node.commandLines.length, boots)
    assert.equal(await said(node, 'hostname'), 'oneil')
    assert.match(await said(node, 'id'), /^uid=1000\(ops\).*\(sudo\)/)
    assert.equal(await said(node, 'sudo -n id -u'), '0')
    assert.equal(await said(node, 'sudo getent shadow ops | cut -d: -f2'), passwordHash)
    const commandLine = await said(node, 'cat /proc/cmdline')
    assert.match(commandLine, / cgroup_enable=memory /)
    assert.doesNotMatch(commandLine, /systemd\.run|kernel-command-line/)
    assert.match(await said(node, 'cat /sys/fs/cgroup/cgroup.controllers'), /\bmemory\b/)
    assert.equal(await said(node, "ip -4 -o addr show dev eth0 | awk '{ print $4 }'"), `${address}/24`)
    assert.equal(await said(node, 'cat /var/lib/piimage/counted'), 'ran')
    assert.match(await said(node, 'cat /var/lib/piimage/status'), /"step":"firstboot","state":"done"/)
    assert.equal(
      await said(node, 'systemctl show -p Result -p NRestarts piimage-firstboot | sort'),
      'NRestarts=0\nResult=success',
    )
    assert.equal(await said(node, 'sudo find /etc/piimage/secrets -type f ! -perm 600'), '')
    assert.equal(await said(node, 'date +%Z | grep -E "^E[SD]T$" >/dev/null && echo yes'), 'yes')
    await node.shutdown()

    noSecretsOn(made.card, made.secrets)

    if (!again) return
    // What was done once is not done again.
    node.start()
    assert.equal(await waitForLogin(node), 'ran')
    assert.doesNotMatch(await said(node, 'systemctl show -p ActiveState piimage-firstboot'), /failed/)
    assert.equal(await said(node, 'hostname'), 'oneil')
    await node.shutdown()
    assert.equal(node.commandLines.length, boots + 1)
  } finally {
    node.kill()
    if (process.env.PIIMAGE_KEEP_CONSOLE !== undefined) {
      run('cp', [join(folder, 'console.log'), `${process.env.PIIMAGE_KEEP_CONSOLE}-${trigger}.log`])
    }
    rmSync(made.card, { force: true })
  }
}

async function waitForLogin(node: Guest): Promise<string> {
  const end = Date.now() + 600_000
  for (;;) {
    const ran = await node.ssh('cat /var/lib/piimage/counted')
    if (ran.status === 0) return ran.stdout.trim()
    assert.ok(Date.now() < end, 'no login after the second start')
    await sleep(3000)
  }
}
