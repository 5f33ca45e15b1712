import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleLines, failedUnit, readConsoleLine } from '../../src/emulator/console.ts'

const ESC = String.fromCharCode(27)

/** Lines as consoles have shown them → what a person is told. */
const told: [string, object][] = [
  [
    '[    0.000000] Linux version 6.12.107+deb13-arm64 (debian-kernel@lists.debian.org)',
    { step: 'kernel 6.12.107+deb13-arm64' },
  ],
  ['[   24.1] EXT4-fs (vda2): mounted filesystem 5d0f ro with ordered data mode', { step: 'root mounted' }],
  ['[   27.3] systemd[1]: systemd 257.13-1~deb13u1 running in system mode (+PAM)', { step: 'systemd 257' }],
  [
    "[   60.1] cloud-init[461]: Cloud-init v. 25.1.4 running 'modules:final' at",
    { step: 'cloud-init modules:final' },
  ],
  [
    `[${ESC}[0;32m  OK  ${ESC}[0m] Reached target ${ESC}[0;1;39mmulti-user.target${ESC}[0m - Multi-User System.`,
    { step: 'multi-user' },
  ],
  ['[  200.1] reboot: Restarting system', { step: 'restarts' }],
  ['[   31.7] sysrq: Resetting', { step: 'restarts' }],
  [
    '[   20.2] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00',
    { fault: 'the kernel panics: Attempted to kill init! exitcode=0x00007f00' },
  ],
  [
    'ALERT!  PARTUUID=7a3f1c55-02 does not exist.  Dropping to a shell!',
    { fault: 'the initial RAM disk finds no PARTUUID=7a3f1c55-02' },
  ],
  ['You are in emergency mode. After logging in, type', { fault: 'systemd stops in emergency mode' }],
  [
    'piimage: oneil: firstboot done',
    { firstBoot: { step: 'firstboot', state: 'done', detail: '' }, step: 'first boot: firstboot done' },
  ],
  [
    'piimage: oneil: wifi failed: failed 12 times: no such network\r',
    {
      firstBoot: { step: 'wifi', state: 'failed', detail: 'failed 12 times: no such network' },
      step: 'first boot: wifi failed: failed 12 times: no such network',
      fault: 'wifi: failed 12 times: no such network',
    },
  ],
  ['oneil login: ', { prompt: true, step: 'login prompt' }],
  ['[    1.0] piimage: is no word of the kernel', {}],
  ['Mounting /boot/firmware...', {}],
]

test('a line of the console is a step, a fault, or neither', () => {
  for (const [line, expected] of told) {
    const said = Object.fromEntries(
      Object.entries(readConsoleLine(line)).filter(([, value]) => value !== undefined),
    )
    assert.deepEqual(said, expected, line)
  }
})

test('why systemd stops is what failed before', () => {
  assert.equal(
    failedUnit(
      `[${ESC}[0;1;31mFAILED${ESC}[0m] Failed to mount ${ESC}[0;1;39mdata.mount${ESC}[0m - /data.\r`,
    ),
    'Failed to mount data.mount - /data',
  )
  assert.equal(failedUnit('[  OK  ] Mounted data.mount - /data.'), undefined)
})

test('lines come whole, however the console is cut up, and a prompt without its end', () => {
  const text = 'one\r\ntwo\r\n\r\nmachine login: '
  for (const size of [1, 3, 100]) {
    const lines: string[] = []
    const reader = new ConsoleLines((line) => lines.push(line))
    for (let at = 0; at < text.length; at += size) reader.write(text.slice(at, at + size))
    assert.deepEqual(lines, ['one', 'two', '', 'machine login: '], `pieces of ${size}`)
  }
})
