/** Values are judged by what will read them: the image's accounts, time zones, keyboards, locales. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMistakes, parse, parseRight } from './support.ts'

const head = `cluster: sgc\nimage: raspios-bookworm-arm64-lite@2025-05-13\n`
const one = 'nodes: { oneil: { model: pi4 } }\n'

/** The first node's value of a text that must be right. */
const localeOf = async (text: string) =>
  (await parseRight(`${head}locale: { ${text} }\n${one}`)).nodes[0]?.locale
const refused = async (text: string) => formatMistakes((await parse(`${head}${text}\n${one}`)).mistakes)

const zones: Record<string, string> = {
  'Europe/Berlin': 'Europe/Berlin',
  'europe/berlin': 'Europe/Berlin',
  'US/Pacific': 'America/Los_Angeles',
  'us/eastern': 'America/New_York',
  EST: 'America/Panama',
  EST5EDT: 'America/New_York',
  CET: 'Europe/Brussels',
  GB: 'Europe/London',
  Japan: 'Asia/Tokyo',
  'Asia/Calcutta': 'Asia/Kolkata',
  'Asia/Saigon': 'Asia/Ho_Chi_Minh',
  'Europe/Kiev': 'Europe/Kyiv',
  'Australia/ACT': 'Australia/Sydney',
  'America/Buenos_Aires': 'America/Argentina/Buenos_Aires',
  // Zones and links that every tzdata has stay as they are.
  'Europe/Amsterdam': 'Europe/Amsterdam',
  'Europe/Vatican': 'Europe/Vatican',
  UTC: 'UTC',
  'Etc/UTC': 'Etc/UTC',
  'Etc/GMT-1': 'Etc/GMT-1',
}
for (const [said, written] of Object.entries(zones))
  test(`time zone ${said} is written as ${written}`, async () => {
    assert.equal((await localeOf(`timezone: ${said}`))?.timezone, written)
  })

const keyboards: [said: string, about: RegExp][] = [
  ['keymap: de-latin1', /"de-latin1" is no keyboard layout \(did you mean de\?\)/],
  ['keymap: us-intl', /write keymap: us, keymapVariant: intl/],
  ['keymap: us-acentos', /write keymap: us, keymapVariant: intl/],
  ['keymap: sv-latin1', /did you mean se\?/],
  ['keymap: la-latin1', /did you mean latam\?/],
  ['keymap: jp106', /did you mean jp\?/],
  ['keymap: de_nodeadkeys', /write keymap: de, keymapVariant: nodeadkeys/],
  ['keymap: us(dvorak)', /write keymap: us, keymapVariant: dvorak/],
  ['keymap: uk', /did you mean gb\?/],
  ['keymap: xx', /is no keyboard layout/],
  ['keymap: us, keymapVariant: nodeadkeys', /the layout us has no variant "nodeadkeys"/],
  [
    'keymap: de, keymapVariant: nodeadkey',
    /the layout de has no variant "nodeadkey" \(did you mean nodeadkeys\?\)/,
  ],
  ['keymapVariant: intl', /a variant belongs to a layout/],
]
for (const [said, about] of keyboards)
  test(`keyboard refused: ${said}`, async () => {
    assert.match(await refused(`locale: { ${said} }`), about)
  })
for (const said of ['us', 'de', 'ch', 'gb', 'latam', 'jp', 'ara'])
  test(`keyboard layout ${said}`, async () => assert.equal((await localeOf(`keymap: ${said}`))?.keymap, said))
test('a variant of a layout', async () => {
  assert.deepEqual(await localeOf('keymap: us, keymapVariant: intl'), { keymap: 'us', keymapVariant: 'intl' })
})

const locales: [said: string, about: RegExp][] = [
  ['en_US.utf8', /did you mean en_US\.UTF-8\?/],
  ['de_de.UTF-8', /did you mean de_DE\.UTF-8\?/],
  ['en-GB.UTF-8', /did you mean en_GB\.UTF-8\?/],
  ['en_GR.UTF-8', /is no locale/],
  ['en_US.UTF-16', /is no locale/],
  ['de_DE@EURO', /did you mean de_DE@euro\?/],
]
for (const [said, about] of locales)
  test(`locale refused: ${said}`, async () => {
    assert.match(await refused(`locale: { locale: "${said}" }`), about)
  })
for (const said of ['en_GB.UTF-8', 'de_DE@euro', 'C.UTF-8', 'POSIX', 'sr_RS@latin', 'en_DK.UTF-8'])
  test(`locale ${said}`, async () => assert.equal((await localeOf(`locale: ${said}`))?.locale, said))

for (const name of 'operator staff backup games nobody ssh docker gpio systemd-network sudo users www-data'.split(
  ' ',
))
  test(`${name} is the system's own`, async () => {
    assert.match(
      await refused(`user: { name: ${name} }`),
      new RegExp(`user\\.name: "${name}" is an account or a group of the system's own`),
    )
  })
for (const name of ['pi', 'ops', 'admin', 'operators'])
  test(`${name} may be the user`, async () => {
    const { nodes } = await parseRight(
      `${head}user: { name: ${name}, sshKeys: [keys/id_ed25519.pub] }\n${one}`,
    )
    assert.equal(nodes[0]?.user?.name, name)
  })

const entry = { os: 'raspios', release: 'bookworm', version: '2025-05-13', arch: 'armhf' } as const
/** What is said of a node with an image under a key of one's own. */
async function said(model: string, about: object): Promise<string> {
  const { mistakes, warnings } = await parse(
    `cluster: sgc\nimage: mine@1\nnodes: { oneil: { model: ${model} } }\n`,
    {
      imageKeys: ['mine@1'],
      imageOf: () => ({ ...entry, ...about }),
    },
  )
  return formatMistakes([...mistakes, ...warnings])
}
test('what an image is stands in its entry, and not in the spelling of its key', async () => {
  assert.doesNotMatch(await said('zero', {}), /ARMv/)
  assert.doesNotMatch(await said('pi1', { os: 'hypriotos', version: '1.12.3' }), /ARMv/)
  assert.match(await said('zero', { os: 'ubuntu' }), /mine@1 is built for ARMv7/)
  assert.match(await said('zerow', { os: 'other' }), /mine@1 may be built for ARMv7/)
  assert.match(await said('zero', { arch: 'arm64' }), /mine@1 is a 64-bit image/)
  assert.match(await said('pi5', { version: '2022-01-28' }), /mine@1 is older than the Raspberry Pi 5/)
  assert.doesNotMatch(await said('pi5', { version: '2025-05-13' }), /older/)
})

test('a key that sounds like another image says nothing', async () => {
  const { mistakes, warnings } = await parse(
    'cluster: sgc\nimage: raspios-mine-armhf@2012-01-01\nnodes: { oneil: { model: pi5 } }\n',
    { imageKeys: ['raspios-mine-armhf@2012-01-01'], imageOf: () => ({ ...entry, version: '7' }) },
  )
  assert.doesNotMatch(formatMistakes([...mistakes, ...warnings]), /older|ARMv/)
})
