/** A node's values judged by the root that will read them: an ext4 with the files that decide. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Node } from '../../src/cluster/node.ts'
import { fitToRoot } from '../../src/customise/fit-root.ts'
import { refuseOtherThanLocked } from '../../src/customise/locked-as.ts'
import { MistakesError, UsageError } from '../../src/errors.ts'
import type { RootFacts } from '../../src/root/root-facts.ts'
import { rootOf } from '../support/root-of.ts'
import { makeNode } from './cluster.ts'

const zone = 'usr/share/zoneinfo'
const files = {
  'bin/sh': '',
  'bin/bash': '',
  'etc/passwd':
    'root:x:0:0::/root:/bin/bash\nklipper:x:997:997::/:/bin/false\npi:x:1000:1000::/home/pi:/bin/bash\n',
  'etc/group': 'root:x:0:\npi:x:1000:\nzigbee:x:996:\nmates:x:1001:pi\n',
  [`${zone}/tzdata.zi`]:
    'Z Europe/Kiev 2 - EET\nZ Europe/Berlin 1 - CET\nL Europe/Berlin Arctic/Longyearbyen\n',
  [`${zone}/Europe/Kiev`]: 'TZif2',
  [`${zone}/Europe/Berlin`]: 'TZif2',
  'usr/share/X11/xkb/rules/base.lst':
    '! layout\n  us  English\n  de  German\n! variant\n  intl  us: English (intl)\n  neo  de: German (Neo 2)\n',
  'usr/share/i18n/SUPPORTED': 'de_DE.UTF-8 UTF-8\nde_DE@euro ISO-8859-15\nen_GB.UTF-8 UTF-8\n',
}

const plain = { user: undefined, locale: {} }
const user = (name: string): Partial<Node> => ({
  user: { name, sshKeys: [], sudoPassword: false },
  locale: {},
})
const said = (locale: Node['locale']): Partial<Node> => ({ user: undefined, locale })

async function fitted(t: TestContext, over: Partial<Node>, root?: RootFacts): Promise<Node | string> {
  const facts = root ?? (await rootOf(t, files))
  if (facts === undefined) return makeNode(over)
  try {
    return await fitToRoot(makeNode(over), facts)
  } catch (error) {
    if (!(error instanceof MistakesError)) throw error
    return error.message
  }
}

const beside = (name: string, shell = '/bin/bash'): Partial<Node> => {
  const other = { name, shell, sshKeys: [], sudo: false, sudoPassword: false, groups: [] }
  return { user: { name: 'ops', sshKeys: [], sudoPassword: false, others: [other] }, locale: {} }
}

const refused: [over: Partial<Node>, about: RegExp][] = [
  [user('klipper'), /oneil: "klipper" is an account of the image's own \(uid 997\) \(choose another name/],
  [user('zigbee'), /"zigbee" is a group of the image's own \(gid 996\)/],
  [beside('klipper'), /"klipper" is an account of the image's own/],
  [beside('sam', '/bin/zsh'), /the image has no shell "\/bin\/zsh" \(for example \/bin\/bash\)/],
  [said({ timezone: 'Europe/Paris' }), /knows no time zone "Europe\/Paris"/],
  [said({ timezone: 'Europe/Berli' }), /no time zone "Europe\/Berli" \(did you mean Europe\/Berlin\?\)/],
  [said({ keymap: 'dee' }), /no keyboard layout "dee" \(did you mean de\?\)/],
  [said({ keymap: 'fr' }), /the image has no keyboard layout "fr"/],
  [said({ keymap: 'de', keymapVariant: 'intl' }), /layout de has no variant "intl"/],
  [said({ locale: 'de_AT.UTF-8' }), /can make no locale "de_AT\.UTF-8" \(did you mean de_DE\.UTF-8\?\)/],
]
for (const [over, about] of refused)
  test(`refused: ${about.source}`, async (t) => {
    assert.match(String(await fitted(t, over)), about)
  })

test('what the root has is taken, a zone by the name that it has', async (t) => {
  const root = await rootOf(t, files)
  if (root === undefined) return
  for (const over of [
    plain,
    user('pi'),
    user('mates'),
    user('ops'),
    beside('sam'),
    said({ keymap: 'de', keymapVariant: 'neo' }),
    said({ locale: 'de_DE.utf8' }),
    said({ locale: 'de_DE@euro' }),
    said({ locale: 'C.UTF-8' }),
  ])
    assert.deepEqual(await fitted(t, over, root), makeNode(over))
  const zoneOf = async (timezone: string) =>
    ((await fitted(t, said({ timezone }), root)) as Node).locale.timezone
  assert.equal(await zoneOf('Europe/Kyiv'), 'Europe/Kiev')
  assert.equal(await zoneOf('europe/berlin'), 'Europe/Berlin')
  assert.equal(await zoneOf('Arctic/Longyearbyen'), 'Europe/Berlin')
})

test('a root that lists nothing judges nothing; all that is wrong is said at once, each at its place', async (t) => {
  const empty = await rootOf(t, { 'etc/hostname': 'x\n' })
  const root = await rootOf(t, files)
  if (root === undefined || empty === undefined) return
  const all = { ...user('klipper'), locale: { timezone: 'X/Y', keymap: 'qq', locale: 'xx_XX' } }
  assert.deepEqual(await fitted(t, all, empty), makeNode(all))
  const at = (line: number) => ({ file: 'cluster.yaml', line, column: 3 })
  const places = new Map([
    ['user klipper', at(4)],
    ['timezone', at(5)],
    ['keymap', at(6)],
    ['locale', at(7)],
  ])
  const lines = String(await fitted(t, { ...all, places }, root)).split('\n')
  assert.deepEqual(
    lines.map((line) => line.split(' ', 1)[0]),
    ['cluster.yaml:4:3:', 'cluster.yaml:5:3:', 'cluster.yaml:6:3:', 'cluster.yaml:7:3:'],
  )
})

test('what the lock says and what the root says, side by side', async (t) => {
  const trixie =
    'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
  const elf = Buffer.alloc(64)
  elf.write('\x7fELF\x02\x01\x01', 'latin1')
  elf.writeUInt16LE(183, 18)
  const root = await rootOf(t, { 'etc/os-release': trixie, 'sbin/init': elf })
  const stretch = await rootOf(t, {
    'etc/os-release': 'PRETTY_NAME="Raspbian GNU/Linux 9 (stretch)"\nVERSION="9 (stretch)"\nID=raspbian\n',
  })
  if (root === undefined || stretch === undefined) return
  const image = { key: 'mine@1', os: 'raspios', release: 'trixie', arch: 'arm64' } as const
  const refuses = (over: object, about: RegExp, facts = root) =>
    assert.rejects(refuseOtherThanLocked({ ...image, ...over }, facts), (error: Error) => {
      assert.ok(error instanceof UsageError)
      assert.match(error.message, about)
      return true
    })
  for (const over of [
    {},
    { os: 'raspbian' },
    { os: 'other', release: null },
    { os: undefined, release: '13.2' },
  ])
    await refuseOtherThanLocked({ ...image, ...over }, root)
  await refuseOtherThanLocked({ ...image, os: 'raspbian', release: 'stretch', arch: 'armhf' }, stretch)
  await refuses({ release: 'bookworm' }, /mine@1 .* release bookworm, and .* Debian GNU\/Linux 13 \(trixie\)/)
  await refuses({ os: 'ubuntu', release: 'noble' }, /os ubuntu, and its \/etc\/os-release says Debian/)
  await refuses({ arch: 'armhf' }, /arch armhf, and its \/sbin\/init is a program for arm64/)
  await refuses({ os: 'raspbian', release: 'buster' }, /release buster, and .*\(stretch\)/, stretch)
})
