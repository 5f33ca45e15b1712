/** Values are judged by what will read them: the image's accounts, time zones, keyboards, locales. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMistakes, options, parse, parseRight, publicLine } from './support.ts'

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

const notZones: [said: string, about: RegExp][] = [
  ['UTC+1', /Etc\/GMT-1 is that, with its sign reversed; a place/],
  ['UTC-5', /Etc\/GMT\+5 is that/],
  ['gmt+02:00', /Etc\/GMT-2 is that/],
  ['+01:00', /Etc\/GMT-1 is that/],
  ['Etc/UTC+1', /Etc\/GMT-1 is that/],
  ['UTC+0', /did you mean Etc\/UTC\?/],
  // Zones a part of an hour away, or further than any is, have no such name.
  ['UTC+05:30', /a name of the tz database/],
  ['UTC+19', /\(did you mean UTC\?\)/],
  ['Berlin', /did you mean Europe\/Berlin\?/],
  ['New York', /did you mean America\/New_York\?/],
  ['America/New York', /did you mean America\/New_York\?/],
  ['Europe/Berln', /did you mean Europe\/Berlin\?/],
  // Another city of the same region is no better guess than none.
  ['Asia/Beijing', /a name of the tz database/],
  ['America/San_Francisco', /a name of the tz database/],
]
for (const [said, about] of notZones)
  test(`time zone refused: ${said}`, async () => {
    assert.match(await refused(`locale: { timezone: "${said}" }`), about)
  })

const keyboards: [said: string, about: RegExp][] = [
  ['keymap: de-latin1', /"de-latin1" is not a known keyboard layout \(did you mean de\?\)/],
  ['keymap: us-intl', /write keymap: us, keymapVariant: intl/],
  ['keymap: us-acentos', /write keymap: us, keymapVariant: intl/],
  ['keymap: sv-latin1', /did you mean se\?/],
  ['keymap: la-latin1', /did you mean latam\?/],
  ['keymap: jp106', /did you mean jp\?/],
  ['keymap: de_nodeadkeys', /write keymap: de, keymapVariant: nodeadkeys/],
  ['keymap: us(dvorak)', /write keymap: us, keymapVariant: dvorak/],
  ['keymap: uk', /did you mean gb\?/],
  ['keymap: dvorak', /write keymap: us, keymapVariant: dvorak/],
  ['keymap: colemak_dh', /write keymap: us, keymapVariant: colemak_dh/],
  ['keymap: bepo', /write keymap: fr, keymapVariant: bepo/],
  ['keymap: neo', /write keymap: de, keymapVariant: neo/],
  ['keymap: us(altgr-intl)', /write keymap: us, keymapVariant: altgr-intl/],
  ['keymap: us:intl', /write keymap: us, keymapVariant: intl/],
  ['keymap: de-latin1-nodeadkeys', /write keymap: de, keymapVariant: nodeadkeys/],
  ['keymap: DE', /did you mean de\?/],
  ['keymap: it2', /did you mean it\?/],
  ['keymap: en', /did you mean us\?/],
  ['keymap: nodeadkeys', /a name like us, gb or de/],
  ['keymap: xx', /is not a known keyboard layout/],
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
  ['en_GR.UTF-8', /is not a valid locale/],
  ['en_US.UTF-16', /is not a valid locale/],
  ['de', /did you mean de_DE\.UTF-8\?/],
  ['sr_RS.UTF-8@latin', /did you mean sr_RS@latin\?/],
  ['eo.UTF-8', /did you mean eo\?/],
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

const securities: [said: string, about: RegExp][] = [
  ['sae', /did you mean wpa3\?/],
  ['WPA3-Personal', /did you mean wpa3\?/],
  ['wpa-psk', /did you mean wpa2\?/],
  ['WPA2/WPA3', /did you mean wpa2-wpa3\?/],
  ['mixed', /did you mean wpa2-wpa3\?/],
  ['none', /did you mean open\?/],
  ['wpa2-enterprise', /one of: wpa2, wpa3, wpa2-wpa3, open; nothing here sets up enterprise/],
  ['802.1x', /one of: wpa2, wpa3, wpa2-wpa3, open; nothing here sets up enterprise/],
  ['owe', /one of: wpa2, wpa3, wpa2-wpa3, open; nothing here sets up enterprise/],
  ['tkip', /\(one of: wpa2, wpa3, wpa2-wpa3, open\)/],
]
for (const [said, about] of securities)
  test(`Wi-Fi security refused: ${said}`, async () => {
    const wifi = `{ ssid: attic, country: DE, passphraseFile: wifi.passphrase, security: "${said}" }`
    assert.match(await refused(`wifi: ${wifi}`), about)
  })

const key = publicLine.split(' ').slice(0, 2).join(' ')
const taken = [
  `from="10.0.0.0/8",no-agent-forwarding ${key} me`,
  `cert-authority ${key} ca`,
  `cert-authority,principals="ops,admin" ${key}`,
  `restrict,command="echo \\"a b\\"" ${key}`,
  `no-X11-forwarding,environment="A=b c" ${key}`,
]
const refusedKeys: [line: string, about: RegExp][] = [
  [`no-such-option ${key}`, /has the option no-such-option, which sshd does not know/],
  [`restrict,fro="10.0.0.1" ${key}`, /has the option fro, which sshd does not know/],
  [`ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5 me`, /is a certificate, which no account can list/],
  [`from="10.0.0.0/8 ${key}`, /is not a public SSH key/],
  [`from=10.0.0.0/8 ${key}`, /has an option whose value is not in double quotes/],
  [
    `---- BEGIN SSH2 PUBLIC KEY ----\nComment: me\nAAAA`,
    /^[^\n]*line 1 [^\n]*RFC 4716 [^\n]*ssh-keygen -i -f FILE\)$/,
  ],
  [`-----BEGIN PUBLIC KEY-----\nMCow`, /^[^\n]*line 1 [^\n]*as PEM [^\n]*-m PKCS8 -f FILE\)$/],
  [`-----BEGIN RSA PUBLIC KEY-----\nMCow`, /^[^\n]*line 1 [^\n]*as PEM [^\n]*-m PEM -f FILE\)$/],
  [`PuTTY-User-Key-File-3: ssh-ed25519`, /is PuTTY's private key/],
]
const withKey = (line: string) => ({
  readLocal: (path: string) =>
    path === '/c/opt.pub' ? { text: `${line}\n`, mode: 0o644 } : options.readLocal(path),
})
const userFile = `${head}user: { name: ops, sshKeys: [opt.pub] }\n${one}`
for (const line of taken)
  test(`a key line that sshd takes: ${line.replace(key, 'KEY')}`, async () => {
    const { nodes } = await parseRight(userFile, withKey(line))
    assert.deepEqual(nodes[0]?.user?.sshKeys, [line])
  })
for (const [line, about] of refusedKeys)
  test(`a key line that is refused: ${line.replace(key, 'KEY').slice(0, 40)}`, async () => {
    assert.match(formatMistakes((await parse(userFile, withKey(line))).mistakes), about)
  })
test('a key line with options stands in the cluster file itself', async () => {
  const { nodes } = await parseRight(`${head}user: { name: ops, sshKeys: ['${taken[0]}'] }\n${one}`)
  assert.deepEqual(nodes[0]?.user?.sshKeys, [taken[0]])
})

const accounts: [item: string, about: RegExp][] = [
  [
    'github:octocat',
    /the keys of "github:octocat" have not been fetched yet \(once, with a network: curl -fo ssh-keys\/github-octocat\.keys/,
  ],
  ['gh:Octo-Cat', /ssh-keys\/github-octo-cat\.keys/],
  ['github:../etc', /names no account at GitHub/],
  ['gl:octocat', /only those at GitHub .*curl -fo octocat\.keys https:\/\/gitlab\.com\/octocat\.keys/],
  ['lp:octocat', /curl -fo octocat\.keys https:\/\/launchpad\.net\/~octocat\/\+sshkeys/],
  ['GH:octocat', /is not a file \(write github:octocat\)/],
  ['github.com/octocat', /is not a file \(write github:octocat\)/],
  ['git@github.com:octocat', /is not a file \(write github:octocat\)/],
  ['https://github.com/octocat', /is an address, not a file \(write github:octocat\)/],
  ['https://github.com/octocat.keys', /is an address, not a file \(write github:octocat\)/],
  ['https://example.org/a.keys', /download it first: curl -fo my\.keys https:\/\/example\.org\/a\.keys/],
]
for (const [item, about] of accounts)
  test(`keys of an account: ${item}`, async () => {
    assert.match(await refused(`user: { name: ops, sshKeys: ["${item}"] }`), about)
  })
test('pinned keys of an account are what their file says', async () => {
  const { nodes } = await parseRight(`${head}user: { name: ops, sshKeys: [github:octocat] }\n${one}`, {
    readLocal: (path) =>
      path === '/c/ssh-keys/github-octocat.keys'
        ? { text: `# pinned\n${publicLine}\n` }
        : options.readLocal(path),
  })
  assert.deepEqual(nodes[0]?.user?.sshKeys, [publicLine])
})

const sam = `{ name: sam, sshKeys: [keys/id_ed25519.pub], passwordFile: pi.password, sudo: true, sudoPassword: true, groups: [dialout, gpio] }`
const ops = 'user: { name: ops, sshKeys: [keys/id_ed25519.pub] }\n'
test('further users, each with what it needs', async () => {
  const text = `${head}${ops}users: [${sam}, { name: guest, shell: /usr/sbin/nologin }]\n${one}`
  const [first, second] = (await parseRight(text)).nodes[0]?.user?.others ?? []
  const { passwordHash, ...rest } = first ?? {}
  assert.match(passwordHash?.reveal() ?? '', /^\$6\$/)
  assert.deepEqual(rest, {
    ...{ name: 'sam', sshKeys: [publicLine], sudo: true, sudoPassword: true },
    ...{ groups: ['dialout', 'gpio'], shell: '/bin/bash' },
  })
  assert.deepEqual([second?.name, second?.sudo, second?.shell], ['guest', false, '/usr/sbin/nologin'])
  const own = text.replace('model: pi4', 'model: pi4, users: [{ name: kim }]')
  assert.deepEqual(
    (await parseRight(own)).nodes[0]?.user?.others?.map(({ name }) => name),
    ['kim'],
  )
})
const wrongUsers: [text: string, about: RegExp][] = [
  [`${ops}users: [{ name: ops }]`, /the user "ops" is there twice/],
  [`${ops}users: [{ name: sam }, { name: sam }]`, /4:32: the user "sam" is there twice/],
  [`${ops}users: [{ name: operator }]`, /an account or a group of the system's own/],
  [`${ops}users: [{ sudo: true }]`, /user has no "name"/],
  [`${ops}users: [{ name: sam, sudoPassword: true }]`, /password that the user does not have/],
  [`${ops}users: [{ name: sam, passwordHash: x, passwordFile: pi.password }]`, /passwordHash/],
  [`${ops}users: [{ name: sam, groups: ["dial out"] }]`, /"dial out" is not a valid name of a group/],
  [`${ops}users: [{ name: sam, shell: bash }]`, /"bash" is not the path of a shell/],
  [
    `${ops}users: [{ name: sam, password: hunter2 }]`,
    /unknown key "password" in users\[0\] \(.*passwordFile/,
  ],
  ['users: [{ name: sam }]', /users are made beside a user, and this node has none/],
  [`${ops}users: { name: sam }`, /users is a map; it should be a list/],
]
for (const [text, about] of wrongUsers)
  test(`users refused: ${text.replace(ops, '').slice(0, 60)}`, async () => {
    const said = await refused(text)
    assert.match(said, about)
    assert.doesNotMatch(said, /hunter2/)
  })

const wifiOf = async (text: string) => {
  const wifi = (await parseRight(`${head}wifi: { ${text} }\n${one}`)).nodes[0]?.wifi
  return (
    wifi && { ssid: wifi.ssid, psk: wifi.psk?.reveal().length, sae: wifi.sae?.reveal(), hidden: wifi.hidden }
  )
}
const attic = 'ssid: attic, country: DE'
const file = 'passphraseFile: wifi.passphrase'
test('Wi-Fi by its security', async () => {
  const sae = 'eight or more'
  const is = (rest: object) => ({ ssid: 'attic', psk: undefined, sae: undefined, hidden: false, ...rest })
  assert.deepEqual(await wifiOf(`${attic}, ${file}`), is({ psk: 64 }))
  assert.deepEqual(await wifiOf(`${attic}, ${file}, security: wpa2`), is({ psk: 64 }))
  assert.deepEqual(await wifiOf(`${attic}, ${file}, security: wpa3`), is({ sae }))
  assert.deepEqual(
    await wifiOf(`${attic}, ${file}, security: wpa2-wpa3, hidden: true`),
    is({ psk: 64, sae, hidden: true }),
  )
  assert.deepEqual(await wifiOf(attic), is({}))
  assert.deepEqual(await wifiOf(`${attic}, security: open`), is({}))
  assert.deepEqual(await wifiOf('country: DE'), is({ ssid: undefined }))
})
const wifis: [text: string, about: RegExp][] = [
  [`${attic}, psk: ${'ab'.repeat(32)}, security: wpa3`, /wpa3 needs the pass phrase itself/],
  [`${attic}, psk: ${'ab'.repeat(32)}, security: wpa2-wpa3`, /wpa2-wpa3 needs the pass phrase itself/],
  [`${attic}, security: wpa3`, /wpa3 needs a pass phrase/],
  [`${attic}, ${file}, security: open`, /an open network has no passphraseFile/],
  [
    `${attic}, security: enterprise`,
    /"enterprise" is not a valid kind of Wi-Fi security \(one of: wpa2, wpa3/,
  ],
  [`country: DE, ${file}`, /wifi has no "ssid"/],
  ['hidden: true, country: DE', /wifi has no "ssid"/],
]
for (const [text, about] of wifis)
  test(`Wi-Fi refused: ${text.slice(0, 60)}`, async () => {
    assert.match(await refused(`wifi: { ${text} }`), about)
  })

const networksOf = async (text: string, node = '{ model: pi4 }') => {
  const nodes = `nodes: { oneil: ${node} }\n`
  const wifi = (await parseRight(`${head}wifi: ${text}\n${nodes}`)).nodes[0]?.wifi
  return (
    wifi &&
    [wifi, ...(wifi.others ?? [])].map(({ ssid, psk, sae }) => [ssid, psk !== undefined, sae?.reveal()])
  )
}
const listed = `[{ ${attic}, ${file} }, { ssid: cellar, ${file}, security: wpa3, hidden: true }, { ssid: café }]`
test('several Wi-Fi networks, preferred ones first', async () => {
  const all = [
    ['attic', true, undefined],
    ['cellar', false, 'eight or more'],
    ['café', false, undefined],
  ]
  assert.deepEqual(await networksOf(listed), all)
  // The country is the radio's: any of them may say it.
  assert.deepEqual(await networksOf(`[{ ssid: attic, ${file} }, { ssid: b, country: DE }]`), [
    ['attic', true, undefined],
    ['b', false, undefined],
  ])
  // A list is one value; a map above it is another.
  const own = [['shed', false, undefined]]
  assert.deepEqual(await networksOf(listed, '{ model: pi4, wifi: { ssid: shed, country: DE } }'), own)
  assert.deepEqual(
    await networksOf(`{ ${attic} }`, '{ model: pi4, wifi: [{ ssid: shed, country: DE }] }'),
    own,
  )
  assert.equal(await networksOf(listed, '{ model: pi4, wifi: false }'), undefined)
})
const lists: [text: string, about: RegExp][] = [
  [`[{ ${attic} }, { ${attic} }]`, /the network "attic" is there twice/],
  [`[{ ${attic} }, { ssid: b, country: FR }]`, /the radio would be in DE and in FR/],
  ['[{ ssid: a }, { ssid: b }]', /wifi has no "country"/],
  [`[{ ${attic} }, { country: DE }]`, /wifi has no "ssid"/],
  [`[{ ${attic} }, { ssid: b, security: wpa3 }]`, /3:59: wpa3 needs a pass phrase/],
  [`[{ ${attic} }, { ssid: b, pask: x }]`, /unknown key "pask" in wifi\[1\]/],
  [`[{ ${attic} }, { ssid: b, security: enterprise }]`, /"enterprise" is not a valid kind of Wi-Fi security/],
  ['[]', /wifi is empty/],
  [`[${Array.from({ length: 10 }, (_, at) => `{ ssid: n${at}, country: DE }`).join()}]`, /at most 9/],
]
for (const [text, about] of lists)
  test(`Wi-Fi networks refused: ${text.slice(0, 60)}`, async () => {
    assert.match(await refused(`wifi: ${text}`), about)
  })

const hash = {
  y: `$y$j9T$abcdefghijklmnop$${'a'.repeat(43)}`,
  b: `$2b$12$${'a'.repeat(53)}`,
  six: `$6$saltsalt$${'a'.repeat(86)}`,
}
const onImage = async (os: string, release: string, text: string) => {
  const { mistakes } = await parse(
    `cluster: sgc\nimage: mine@1\n${text}\nnodes: { oneil: { model: pi4 } }\n`,
    {
      imageKeys: ['mine@1'],
      imageOf: () => ({ ...entry, os, release }),
    },
  )
  return formatMistakes(mistakes)
}
test('password hashes by what the release can check', async () => {
  const user = (value: string) => `user: { name: ops, passwordHash: '${value}' }`
  for (const [os, release] of [
    ['raspios', 'buster'],
    ['raspbian', 'stretch'],
    ['hypriotos', ''],
  ] as const)
    for (const value of [hash.y, hash.b])
      assert.match(
        await onImage(os, release, user(value)),
        /mine@1 knows no password hash of the kind \$(y|2b)\$/,
      )
  assert.equal(await onImage('raspios', 'buster', user(hash.six)), '')
  assert.match(
    await onImage(
      'raspios',
      'buster',
      `${user(hash.six)}\nusers: [{ name: sam, passwordHash: '${hash.y}' }]`,
    ),
    /knows no password hash of the kind \$y\$/,
  )
  for (const release of ['bullseye', 'bookworm', 'trixie'])
    for (const value of [hash.y, hash.b]) assert.equal(await onImage('raspios', release, user(value)), '')
})
test('WPA3 by what the release can speak', async () => {
  const wifi = `wifi: { ${attic}, ${file}, security: wpa3 }`
  assert.match(await onImage('raspbian', 'stretch', wifi), /speaks no WPA3/)
  assert.match(await onImage('hypriotos', '', wifi), /speaks no WPA3/)
  assert.match(
    await onImage('raspbian', 'stretch', `wifi: [{ ${attic} }, { ssid: b, ${file}, security: wpa3 }]`),
    /speaks no WPA3/,
  )
  assert.equal(await onImage('raspios', 'buster', wifi), '')
})

test('a secret in a file is one line of text', async () => {
  const text = `${head}user: { name: ops, passwordFile: pw }\n${one}`
  for (const secret of ['a\tb', 'a\u0007b', 'a\u0000b', '\u001b[31mred'])
    assert.match(
      formatMistakes((await parse(text, { readLocal: () => ({ text: secret, mode: 0o600 }) })).mistakes),
      /the first line of "pw" holds a control character/,
    )
  assert.match(
    await refused('user: { name: ops, password: hunter2 }'),
    /unknown key "password" in user \(.*passwordFile/,
  )
})
