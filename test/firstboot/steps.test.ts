import assert from 'node:assert/strict'
import { existsSync, rmSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import {
  calls,
  type Ended,
  type FakePi,
  type FakePiOptions,
  fakePi,
  install,
  lay,
  modeOf,
  readRoot,
  runOnPi,
  shells,
  snapshot,
} from './fake-pi.ts'

/** A Pi whose payload is installed, no early step run. */
function ready(t: Parameters<typeof fakePi>[0], options: FakePiOptions = {}): FakePi | undefined {
  const pi = fakePi(t, { earlySteps: [], ...options })
  if (pi !== undefined) install(pi)
  return pi
}

const node = { PIIMAGE_HOSTNAME: 'oneil', PIIMAGE_USER: 'ops' }

function runStep(pi: FakePi, name: string, env: Record<string, string> = {}): Ended {
  return runOnPi(pi, join(packageRoot(), `firstboot/steps/${name}.sh`), {
    PIIMAGE_LIB: join(pi.root, 'opt/piimage/lib.sh'),
    ...node,
    ...env,
  })
}

/** Which files each daemon gets. */
const daemons: [unit: string, path: string, mode: string, content: RegExp][] = [
  [
    'NetworkManager.service',
    'etc/NetworkManager/system-connections/piimage-eth0.nmconnection',
    '600',
    /id=piimage-eth0/,
  ],
  [
    'dhcpcd.service',
    'etc/dhcpcd.conf',
    '644',
    /^# stock\nhostname\n# BEGIN piimage\ninterface eth0\n[\s\S]*# END piimage\n$/,
  ],
  ['systemd-networkd.service', 'etc/systemd/network/05-piimage-eth0.network', '644', /Name=eth0/],
  ['networking.service', 'etc/network/interfaces.d/eth0', '600', /^auto eth0\n$/],
]

for (const shell of shells) {
  describe(`steps under ${shell}`, () => {
    for (const [daemon, path, mode, content] of daemons) {
      test(`network: ${daemon} gets its own files, and again the same`, (t) => {
        const pi = ready(t, { shell, daemon })
        if (pi === undefined) return
        assert.equal(runStep(pi, 'network').status, 0)
        assert.match(readRoot(pi, path), content)
        assert.equal(modeOf(pi, path), mode)
        for (const [, other] of daemons) {
          if (other !== path && other !== 'etc/dhcpcd.conf')
            assert.ok(!existsSync(join(pi.root, other)), other)
        }
        const before = snapshot(pi.root)
        assert.equal(runStep(pi, 'network').status, 0)
        assert.deepEqual(snapshot(pi.root), before)
      })
    }
  })
}

test('network: an image without a daemon we know is an error that says so', (t) => {
  const pi = ready(t, { daemon: 'connman.service' })
  if (pi === undefined) return
  rmSync(join(pi.root, 'etc/network/interfaces'))
  const ended = runStep(pi, 'network')
  assert.equal(ended.status, 1)
  assert.match(ended.output, /no network daemon that piimage knows/)
})

test('user: made where the image has no first user, in the groups that exist', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  lay(pi.root, {
    'etc/passwd': 'root:x:0:0::/root:/bin/bash\n',
    'etc/group': 'root:x:0:\nsudo:x:27:\nvideo:x:44:\n',
  })
  assert.equal(runStep(pi, 'user').status, 0)
  assert.ok(
    calls(pi).some((call) => call === `useradd -R ${pi.root} -u 1000 -m -s /bin/bash -G sudo,video ops`),
  )
  assert.equal(modeOf(pi, 'home/ops/.ssh/authorized_keys'), '600')
})

test("user: made beside DietPi's own, which keeps its name", (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  lay(pi.root, {
    'etc/passwd': 'root:x:0:0::/root:/bin/bash\ndietpi:x:1000:1000::/home/dietpi:/bin/bash\n',
    'etc/group': 'root:x:0:\nsudo:x:27:\ndietpi:x:1000:\n',
  })
  assert.equal(runStep(pi, 'user').status, 0)
  assert.ok(calls(pi).some((call) => call === `useradd -R ${pi.root} -m -s /bin/bash -G sudo ops`))
  assert.ok(!calls(pi).some((call) => call.startsWith('usermod -l')))
  assert.match(readRoot(pi, 'etc/passwd'), /^dietpi:x:1000:/m)
})

test('user: renamed with home, group and subordinate ids; keys that were there stay', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  lay(pi.root, { 'home/pi/.ssh/authorized_keys': 'ssh-ed25519 AAAAold old\nssh-ed25519 AAAAone one\n' })
  for (let run = 0; run < 2; run++) {
    assert.equal(runStep(pi, 'user').status, 0)
    assert.match(readRoot(pi, 'etc/group'), /^ops:x:1000:$/m)
    assert.equal(readRoot(pi, 'etc/subuid'), 'ops:100000:65536\n')
    assert.equal(
      readRoot(pi, 'home/ops/.ssh/authorized_keys'),
      'ssh-ed25519 AAAAold old\nssh-ed25519 AAAAone one\nssh-ed25519 AAAAtwo two\n',
    )
  }
})

test('user: a rename cut off after the account, before the home, is finished', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  lay(pi.root, { 'etc/passwd': 'ops:x:1000:1000::/home/pi:/usr/sbin/nologin\n' })
  assert.equal(runStep(pi, 'user').status, 0)
  assert.equal(readRoot(pi, 'etc/passwd'), 'ops:x:1000:1000::/home/ops:/bin/bash\n')
  assert.equal(readRoot(pi, 'home/ops/.profile'), '# profile\n')
})

test('user: the hash never stands among the arguments; without one no password fits', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  runStep(pi, 'user')
  assert.ok(!calls(pi).join('\n').includes('PASSWORDHASH'))
  rmSync(join(pi.root, 'etc/piimage/secrets/password-hash'))
  runStep(pi, 'user')
  assert.equal(readRoot(pi, 'etc/shadow'), 'ops:*\n')
})

for (const [asks, rule] of [
  ['yes', 'ops ALL=(ALL:ALL) ALL\n'],
  ['no', 'ops ALL=(ALL:ALL) NOPASSWD: ALL\n'],
] as const) {
  test(`user: sudo asks for a password: ${asks}`, (t) => {
    const pi = ready(t)
    if (pi === undefined) return
    runStep(pi, 'user', { PIIMAGE_SUDO_PASSWORD: asks })
    assert.equal(readRoot(pi, 'etc/sudoers.d/95-piimage'), rule)
    assert.equal(modeOf(pi, 'etc/sudoers.d/95-piimage'), '440')
  })
}

test('user: the wizard that waits for a person at the screen is switched off', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  runStep(pi, 'user')
  assert.ok(calls(pi).some((call) => call.endsWith('disable userconfig.service')))
})

test('host-keys: ours alone, and nothing makes others', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  assert.equal(runStep(pi, 'host-keys').status, 0)
  assert.ok(!existsSync(join(pi.root, 'etc/ssh/ssh_host_rsa_key')))
  assert.equal(modeOf(pi, 'etc/ssh/ssh_host_ed25519_key'), '600')
  assert.equal(modeOf(pi, 'etc/ssh/ssh_host_ed25519_key.pub'), '644')
  assert.ok(calls(pi).some((call) => call.endsWith('disable regenerate_ssh_host_keys.service')))
})

test('hostname: the line in /etc/hosts is replaced, or added', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  for (const before of [
    '127.0.0.1\tlocalhost\n127.0.1.1 old\n127.0.1.1\tolder\n',
    '127.0.0.1\tlocalhost\n',
  ]) {
    lay(pi.root, { 'etc/hosts': before })
    runStep(pi, 'hostname')
    assert.equal(readRoot(pi, 'etc/hosts'), '127.0.0.1\tlocalhost\n127.0.1.1\toneil\n')
  }
})

test('locale: an unknown time zone is an error, and nothing is half done', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  const ended = runStep(pi, 'locale', { PIIMAGE_TIMEZONE: 'America/Atlantis' })
  assert.equal(ended.status, 1)
  assert.match(ended.output, /no time zone America\/Atlantis/)
  assert.ok(!existsSync(join(pi.root, 'etc/timezone')))
})

test('locale: time zone, keyboard, language', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  lay(pi.root, { 'etc/locale.gen': '# de_DE.UTF-8 UTF-8\n# en_US.UTF-8 UTF-8\n' })
  for (let run = 0; run < 2; run++) {
    const ended = runStep(pi, 'locale', {
      PIIMAGE_TIMEZONE: 'America/New_York',
      PIIMAGE_KEYMAP: 'us',
      PIIMAGE_LOCALE: 'en_US.UTF-8',
    })
    assert.equal(ended.status, 0, ended.output)
    assert.equal(snapshot(pi.root)['etc/localtime'], 'link /usr/share/zoneinfo/America/New_York')
    assert.equal(readRoot(pi, 'etc/default/keyboard'), 'XKBMODEL="pc105"\nXKBLAYOUT="us"\nXKBVARIANT=""\n')
    assert.equal(readRoot(pi, 'etc/locale.gen'), '# de_DE.UTF-8 UTF-8\nen_US.UTF-8 UTF-8\n')
    assert.equal(readRoot(pi, 'etc/default/locale'), 'LANG=en_US.UTF-8\n')
  }
})

test('locale: a variant of the layout, and a character set that is not UTF-8', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  lay(pi.root, {
    'etc/default/keyboard': 'XKBMODEL="pc105"\nXKBLAYOUT="gb"\nXKBVARIANT="mac"\n',
    'etc/locale.gen': '# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\n# de_DE@euro ISO-8859-15\n',
  })
  const settings = {
    PIIMAGE_KEYMAP: 'de',
    PIIMAGE_KEYMAP_VARIANT: 'nodeadkeys',
    PIIMAGE_LOCALE: 'de_DE@euro',
  }
  assert.equal(runStep(pi, 'locale', settings).status, 0)
  const keyboard = 'XKBMODEL="pc105"\nXKBLAYOUT="de"\nXKBVARIANT="nodeadkeys"\n'
  assert.equal(readRoot(pi, 'etc/default/keyboard'), keyboard)
  assert.equal(
    readRoot(pi, 'etc/locale.gen'),
    '# de_DE ISO-8859-1\n# de_DE.UTF-8 UTF-8\nde_DE@euro ISO-8859-15\n',
  )
})

test('wifi: both switches are on, and the country is kept', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  assert.equal(runStep(pi, 'wifi', { PIIMAGE_WIFI_COUNTRY: 'US' }).status, 0)
  assert.equal(readRoot(pi, 'var/lib/systemd/rfkill/platform-3f300000.mmcnr:wlan'), '0\n')
  assert.equal(readRoot(pi, 'var/lib/NetworkManager/NetworkManager.state'), '[main]\nWirelessEnabled=true\n')
  assert.equal(readRoot(pi, 'etc/modprobe.d/piimage-regdom.conf'), 'options cfg80211 ieee80211_regdom=US\n')
})

test('clock: waits for the time, not for ever, and not where a battery keeps it', (t) => {
  const pi = ready(t)
  if (pi === undefined) return
  const waits = () => calls(pi).filter((call) => call.startsWith('sleep')).length
  assert.match(runStep(pi, 'clock').output, /is synchronised/)
  assert.equal(waits(), 0)
  lay(pi.bin, { timedatectl: '#!/bin/sh\necho no\n' })
  const made = new Date('2025-12-05T00:00:00Z')
  utimesSync(join(pi.root, 'opt/piimage/node.json'), made, made)
  const seconds = (days: number) => `${made.getTime() / 1000 + days * 86_400}\n`
  const clocks: [string, Record<string, string>, isWaited: boolean][] = [
    ['no clock', {}, true],
    ['a Pi 5 without a battery', { since_epoch: '14\n' }, true],
    ['a battery that was put in and never set', { since_epoch: '946684807\n' }, true],
    ['a battery that was taken from another board', { since_epoch: seconds(-30) }, true],
    ['a clock with a battery', { since_epoch: seconds(40) }, false],
    ['a warm start of a board that was on time before', { since_epoch: seconds(1) }, false],
    ['a clock that can not be read', { since_epoch: 'nonsense\n' }, true],
    ['a clock that does not say its time, of a system on time', { name: 'ds1307' }, false],
  ]
  for (const [what, files, isWaited] of clocks) {
    const before = waits()
    for (const [name, text] of Object.entries(files)) lay(pi.root, { [`sys/class/rtc/rtc0/${name}`]: text })
    const ended = runStep(pi, 'clock')
    assert.deepEqual([ended.status, waits() - before], [0, isWaited ? 90 : 0], `${what}: ${ended.output}`)
    assert.match(ended.output, /not synchronised/)
    rmSync(join(pi.root, 'sys/class/rtc/rtc0'), { recursive: true, force: true })
  }
  // The system's time was moved on by timesyncd's own file, minutes past the image.
  const now = new Date()
  utimesSync(join(pi.root, 'opt/piimage/node.json'), now, now)
  const before = waits()
  lay(pi.root, { 'sys/class/rtc/rtc0/name': 'ds1307' })
  assert.equal(runStep(pi, 'clock').status, 0)
  assert.equal(waits() - before, 90)
})
