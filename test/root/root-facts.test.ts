/** What a root says of itself, read from ext4 volumes that mke2fs made of real files. */
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { rootOf } from '../support/root-of.ts'
import { needTool, run } from '../support/tools.ts'

function elf(machine: number): Uint8Array {
  const header = Buffer.alloc(64)
  header.write('\x7fELF\x02\x01\x01', 'latin1')
  header.writeUInt16LE(machine, 18)
  return header
}

test('a root says what it is', async (t) => {
  const root = await rootOf(t, {
    'usr/lib/os-release':
      'NAME="Debian GNU/Linux"\nVERSION_CODENAME=trixie\nID=debian\nVERSION_ID=\'13\'\n# no\n',
    'etc/os-release': '->../usr/lib/os-release',
    'etc/debian_version': '13.2\n',
    'etc/fstab':
      'proc /proc proc defaults 0 0\n#LABEL=old /boot vfat\nPARTUUID=1-01 /boot/firmware/ vfat defaults,x 0 2\n\nPARTUUID=1-02 / ext4 defaults 0 1\n',
    'etc/passwd':
      'root:x:0:0:root:/root:/bin/bash\nbackup:x:34:34:backup:/var/backups:/usr/sbin/nologin\ntorn\n',
    'etc/group': 'root:x:0:\nsudo:x:27:pi,ops\noperator:x:37:\n',
    'etc/cloud/cloud-init.disabled': '',
    'usr/bin/cloud-init': '#!/usr/bin/python3\n',
    'usr/sbin/NetworkManager': elf(183),
    'usr/lib/systemd/systemd': elf(183),
    'usr/lib/systemd/system-generators/systemd-run-generator': elf(183),
    sbin: '->usr/sbin',
    lib: '->usr/lib',
    'usr/sbin/init': '->/lib/systemd/systemd',
    'usr/lib/modules/6.12.34+rpt-rpi-v8/modules.dep': '',
  })
  if (root === undefined) return
  const { VERSION_CODENAME, VERSION_ID, NAME } = await root.osRelease()
  assert.deepEqual([NAME, VERSION_CODENAME, VERSION_ID], ['Debian GNU/Linux', 'trixie', '13'])
  assert.equal(await root.debianVersion(), '13.2')
  assert.equal(await root.bootMount(), '/boot/firmware')
  assert.deepEqual((await root.fstab()).at(-1), {
    ...{ device: 'PARTUUID=1-02', mount: '/', type: 'ext4', options: ['defaults'], line: 5 },
  })
  assert.deepEqual(await root.cloudInit(), { disabled: '/etc/cloud/cloud-init.disabled' })
  assert.deepEqual(
    (await root.accounts()).map(({ name, id, shell }) => [name, id, shell]),
    [
      ['root', 0, '/bin/bash'],
      ['backup', 34, '/usr/sbin/nologin'],
    ],
  )
  assert.deepEqual((await root.groups())[1], { name: 'sudo', id: 27, members: ['pi', 'ops'] })
  const programs = ['network-manager', 'systemd-run', 'systemd', 'netplan', 'dhcpcd', 'networkd'] as const
  const there: string[] = []
  for (const program of programs) if (await root.has(program)) there.push(program)
  assert.deepEqual(there, ['network-manager', 'systemd-run', 'systemd'])
  assert.equal(await root.machine(), 'arm64')
  assert.deepEqual(await root.kernels(), ['6.12.34+rpt-rpi-v8'])
})

test('what a root doesn’t say is not made up', async (t) => {
  const root = await rootOf(t, { 'etc/hostname': 'x\n', 'sbin/init': '#!/bin/sh\n' })
  if (root === undefined) return
  assert.deepEqual(await root.osRelease(), {})
  assert.deepEqual(await root.accounts(), [])
  assert.equal(await root.cloudInit(), 'absent')
  for (const answer of [
    root.debianVersion(),
    root.bootMount(),
    root.timeZones(),
    root.locales(),
    root.keyboards(),
    root.machine(),
  ])
    assert.equal(await answer, undefined)
})

const mounts: [string, string | undefined][] = [
  ['LABEL=bootfs /boot vfat defaults 0 2', '/boot'],
  ['LABEL=system-boot /boot/firmware vfat defaults 0 1', '/boot/firmware'],
  ['UUID=A-B /boot/efi vfat umask=0077 0 1', '/boot/efi'],
  ['UUID=A-B /boot/efi vfat umask=0077 0 1\nUUID=C-D /boot/firmware vfat x 0 1', '/boot/firmware'],
  ['/dev/mmcblk0p1 /boot auto defaults 0 2', '/boot'],
  ['LABEL=bootfs \\057boot\\057firmware vfat defaults 0 2', '/boot/firmware'],
  ['/dev/sda1 /bootleg vfat x 0 0', undefined],
  ['/dev/mmcblk0p2 /boot ext4 defaults 0 2', undefined],
]
test('where the boot partition is mounted', async (t) => {
  for (const [fstab, mount] of mounts) {
    const root = await rootOf(t, { 'etc/fstab': `${fstab}\n` })
    if (root === undefined) return
    assert.equal(await root.bootMount(), mount, fstab)
  }
})

test('time zones: names that are there, and what older names stand for', async (t) => {
  const zones =
    '# version 2026c\nZ America/New_York -4:56:2 - LMT\nL America/New_York US/Eastern\nL Asia/Kolkata Asia/Calcutta\nZ Europe/Berlin 0:53:28 - LMT\n'
  const folder = 'usr/share/zoneinfo'
  const root = await rootOf(t, {
    [`${folder}/tzdata.zi`]: zones,
    [`${folder}/America/New_York`]: 'TZif2',
    [`${folder}/Europe/Berlin`]: 'TZif2',
    [`${folder}/Asia/Calcutta`]: 'TZif2',
  })
  const known = await root?.timeZones()
  if (known === undefined) return
  const canonical: Record<string, string | undefined> = {
    'Europe/Berlin': 'Europe/Berlin',
    'europe/berlin': 'Europe/Berlin',
    'US/Eastern': 'America/New_York',
    'us/eastern': 'America/New_York',
    // The old name's file is there, and the new one's is not.
    'Asia/Calcutta': 'Asia/Calcutta',
    'Europe/Kiev': undefined,
    '../../etc/passwd': undefined,
  }
  for (const [name, want] of Object.entries(canonical)) assert.equal(await known.canonical(name), want, name)
  assert.equal(await known.has('US/Eastern'), false)
  assert.equal(await known.has('America'), false)
})

test('locales: those that could be made, those in folders and those in an archive', async (t) => {
  if (needTool(t, 'localedef', 'libc-bin') === undefined || !existsSync('/usr/share/i18n/locales/de_DE'))
    return t.skip('needs the package locales')
  const root = await rootOf(
    t,
    {
      'usr/share/i18n/SUPPORTED': '# comment\nen_GB.UTF-8 UTF-8\nde_DE@euro ISO-8859-15\n',
      'usr/lib/locale/C.utf8/LC_CTYPE': 'x',
    },
    (folder) => {
      const arguments_ = ['--prefix', folder, '-f', 'UTF-8']
      run('localedef', [...arguments_, '-i', 'de_DE', 'de_DE.UTF-8'])
      run('localedef', [...arguments_, '-i', 'en_GB', 'en_GB.UTF-8'])
    },
  )
  const known = await root?.locales()
  if (known === undefined) return
  assert.deepEqual([...known.supported], ['en_GB.UTF-8', 'de_DE@euro'])
  assert.deepEqual([...known.made].toSorted(), ['C.utf8', 'de_DE.utf8', 'en_GB.utf8'])
})

test('keyboards: models, layouts and their variants', async (t) => {
  const real = '/usr/share/X11/xkb/rules/base.lst'
  const list = 'usr/share/X11/xkb/rules/base.lst'
  const text =
    '! model\n  pc105           Generic 105-key PC\n\n! layout\n  us              English (US)\n  de              German\n\n! variant\n  intl            us: English (US, intl.)\n  nodeadkeys      de: German (no dead keys)\n\n! option\n  grp                  Switching\n'
  const root = await rootOf(t, existsSync(real) ? {} : { [list]: text }, (folder) => {
    if (!existsSync(real)) return
    mkdirSync(join(folder, dirname(list)), { recursive: true })
    copyFileSync(real, join(folder, list))
  })
  const known = await root?.keyboards()
  if (known === undefined) return
  for (const layout of ['us', 'de']) assert.ok(known.layouts.has(layout), layout)
  for (const layout of ['de-latin1', 'grp', 'intl']) assert.ok(!known.layouts.has(layout), layout)
  assert.ok(known.models.has('pc105'))
  assert.ok(known.variants.get('us')?.has('intl') && known.variants.get('de')?.has('nodeadkeys'))
  assert.ok(!known.variants.get('us')?.has('nodeadkeys'))
})
