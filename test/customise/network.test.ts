import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatYaml, type TreeMap } from '../../src/boot/cloud-init.ts'
import { UsageError } from '../../src/errors.ts'
import { Secret } from '../../src/secret.ts'
import { formatDhcpcdConf } from '../../src/systems/network/dhcpcd.ts'
import { formatInterfacesD } from '../../src/systems/network/interfaces-d.ts'
import { networkConfigV1, networkConfigV2 } from '../../src/systems/network/network-config.ts'
import { formatNetworkdUnit } from '../../src/systems/network/networkd.ts'
import { formatNmKeyfile, formatNmKeyfiles } from '../../src/systems/network/nm-keyfile.ts'
import { connectionUuid, type NetworkProfile, type WifiAccess } from '../../src/systems/network/profile.ts'
import { formatWpaSupplicant } from '../../src/systems/network/wpa-supplicant.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { PSK } from './cluster.ts'

const eth0: NetworkProfile = {
  name: 'eth0',
  address: { ip: '192.168.2.11', prefix: 24, gateway: '192.168.2.1' },
  dns: ['192.168.2.1', 'fd00::1'],
  domain: 'lan',
}
const access = { ssid: 'a', psk: new Secret(PSK), country: 'DE', hidden: true }
const wlan0 = { name: 'wlan0', dns: [], wifi: access }

test('the same address in every renderer', () => {
  assert.match(formatNmKeyfile(eth0, 'n'), /^address1=192\.168\.2\.11\/24,192\.168\.2\.1$/m)
  assert.match(formatNetworkdUnit(eth0), /^Address=192\.168\.2\.11\/24\nGateway=192\.168\.2\.1$/m)
  assert.match(
    formatDhcpcdConf([eth0]),
    /^static ip_address=192\.168\.2\.11\/24\nstatic routers=192\.168\.2\.1$/m,
  )
  assert.match(
    formatInterfacesD(eth0),
    /address 192\.168\.2\.11\n {2}netmask 255\.255\.255\.0\n {2}gateway 192\.168\.2\.1/,
  )
  assert.deepEqual(networkConfigV1([eth0]), {
    version: 1,
    config: [
      {
        type: 'physical',
        name: 'eth0',
        subnets: [
          {
            type: 'static',
            address: '192.168.2.11/24',
            gateway: '192.168.2.1',
            dns_nameservers: ['192.168.2.1', 'fd00::1'],
            dns_search: ['lan'],
          },
        ],
      },
    ],
  })
})

test('a name server goes to the section of its kind', () => {
  const keyfile = formatNmKeyfile(eth0, 'n')
  assert.match(keyfile, /\[ipv4\][^[]*dns=192\.168\.2\.1;\n/)
  assert.match(keyfile, /\[ipv6\][^[]*dns=fd00::1;\n/)
})

test('IPv6 as the router says, whether cloud-init and netplan write the connection or we do', (t) => {
  const netplan = needTool(t, 'netplan', 'netplan.io')
  if (netplan === undefined) return
  const methodOf = (keyfile: string) => /\[ipv6\]\nmethod=(\w+)/.exec(keyfile)?.[1]
  const open = { ...wlan0, wifi: { ...access, psk: undefined } }
  for (const profile of [{ ...eth0, dns: ['192.168.2.1'] }, eth0, { name: 'eth0', dns: [] }, open]) {
    const folder = tempFolder(t)
    mkdirSync(join(folder, 'etc/netplan'), { recursive: true })
    const { network } = networkConfigV2([profile])
    const tree = { network: { ...(network as TreeMap), renderer: 'NetworkManager' } }
    // This netplan is older than that key.
    const text = formatYaml(tree).replace(/.*regulatory-domain.*\n/, '')
    writeFileSync(join(folder, 'etc/netplan/50.yaml'), text, { mode: 0o600 })
    const { status, stderr } = run(netplan, ['generate', '--root-dir', folder])
    assert.equal(status, 0, stderr)
    const connections = join(folder, 'run/NetworkManager/system-connections')
    const files = readdirSync(connections)
    assert.ok(files.length > 0)
    for (const name of files)
      assert.equal(methodOf(readFileSync(join(connections, name), 'utf8')), 'auto', name)
    assert.equal(methodOf(formatNmKeyfile(profile, 'n')), 'auto')
  }
})

test('Wi-Fi names: literally, or as their bytes', () => {
  const keyfile = (ssid: string) =>
    /^ssid=(.*)$/m.exec(formatNmKeyfile({ ...wlan0, wifi: { ...access, ssid } }, 'n'))?.[1]
  assert.equal(keyfile('Home Net_2.4'), 'Home Net_2.4')
  for (const ssid of ['a;b', '12', ' a', 'a ', 'é', 'a\nb', '"a"', '\\x', '😀']) {
    assert.equal(keyfile(ssid), [...Buffer.from(ssid)].map((byte) => `${byte};`).join(''), ssid)
    const supplicant = formatWpaSupplicant({ ...wlan0, wifi: { ...access, ssid } })
    const hex = /^\tssid=([0-9a-f]+)$/m.exec(supplicant)?.[1] ?? ''
    assert.equal(Buffer.from(hex, 'hex').toString(), ssid)
    assert.ok(formatYaml(networkConfigV2([{ ...wlan0, wifi: { ...access, ssid } }])).length > 0)
  }
})

test('an open network has no key', () => {
  const open = { ...wlan0, wifi: { ssid: 'a', country: 'DE', hidden: false } }
  assert.doesNotMatch(formatNmKeyfile(open, 'n'), /wifi-security/)
  assert.match(formatWpaSupplicant(open), /key_mgmt=NONE/)
  assert.deepEqual(networkConfigV2([open]).network, {
    version: 2,
    ethernets: { eth0: { dhcp4: true, dhcp6: true, optional: true } },
    wifis: {
      wlan0: {
        dhcp4: true,
        dhcp6: true,
        'regulatory-domain': 'DE',
        'access-points': { a: {} },
        optional: true,
      },
    },
  })
})

const withSae = (rest: object) => ({
  name: 'wlan0',
  dns: [],
  wifi: { ssid: 'attic', country: 'DE', hidden: false, sae: new Secret(' a\\b "c" d'), ...rest },
})

test('WPA3 alone and beside WPA2, as each daemon reads it', () => {
  const only = withSae({})
  const both = withSae({ psk: new Secret('ab'.repeat(32)) })
  assert.match(formatNmKeyfile(only, 'a'), /\[wifi-security\]\nkey-mgmt=sae\npsk=\\sa\\\\b "c" d\n/)
  assert.match(formatNmKeyfile(both, 'a'), /\[wifi-security\]\nkey-mgmt=wpa-psk\npsk=\\sa/)
  assert.match(
    formatWpaSupplicant(only),
    /\n\tkey_mgmt=SAE\n\tieee80211w=2\n\tsae_password=" a\\b "c" d"\n\}/,
  )
  assert.match(
    formatWpaSupplicant(both),
    /\n\tkey_mgmt=WPA-PSK SAE\n\tieee80211w=1\n\tpsk=(ab){32}\n\tsae_password=/,
  )
  assert.deepEqual(networkConfigV2([only]).network, {
    version: 2,
    ethernets: { eth0: { dhcp4: true, dhcp6: true, optional: true } },
    wifis: {
      wlan0: {
        dhcp4: true,
        dhcp6: true,
        'regulatory-domain': 'DE',
        'access-points': { attic: { auth: { 'key-management': 'sae', password: ' a\\b "c" d' } } },
        optional: true,
      },
    },
  })
})

const three: NetworkProfile = {
  ...wlan0,
  wifi: {
    ...access,
    others: [
      { ssid: 'b "2"', sae: new Secret('sae pass phrase'), hidden: false },
      { ssid: 'c', hidden: false },
    ],
  },
}

test('several networks: a keyfile for each, by preference', () => {
  const keyfiles = formatNmKeyfiles(three, 'n')
  assert.deepEqual(
    keyfiles.map(({ name, content }) => [
      name,
      /^id=(.*)$/m.exec(content)?.[1],
      /^interface-name=(.*)$/m.exec(content)?.[1],
      /^autoconnect-priority=(.*)$/m.exec(content)?.[1],
      /^key-mgmt=(.*)$/m.exec(content)?.[1],
    ]),
    [
      ['wlan0', 'piimage-wlan0', 'wlan0', '100', 'wpa-psk'],
      ['wlan0_2', 'piimage-wlan0_2', 'wlan0', '99', 'sae'],
      ['wlan0_3', 'piimage-wlan0_3', 'wlan0', '98', undefined],
    ],
  )
  assert.equal(new Set(keyfiles.map(({ content }) => /^uuid=.*$/m.exec(content)?.[0])).size, 3)
  // The one network of a radio has the file it always had.
  assert.equal(formatNmKeyfiles(wlan0, 'n')[0]?.content, formatNmKeyfile(wlan0, 'n'))
})

test('wpa_supplicant reads several networks, and which to prefer', (t) => {
  const supplicant = needTool(t, 'wpa_supplicant', 'wpasupplicant')
  if (supplicant === undefined) return
  const file = join(tempFolder(t), 'wpa.conf')
  const text = formatWpaSupplicant({ ...three, wifi: three.wifi as WifiAccess })
  writeFileSync(file, text.replace(/^ctrl_interface=.*\n/m, ''), { mode: 0o600 })
  // It would go on looking for them.
  const read = run('timeout', ['1', supplicant, '-ilo', '-Dnone', `-c${file}`, '-dd'])
  const groups = [...read.stdout.matchAll(/^Priority group (\d+)\n {3}id=\d+ ssid='(.*)'$/gm)]
  assert.deepEqual(
    groups.map(([, priority, ssid]) => [priority, ssid]),
    [
      ['3', 'a'],
      ['2', 'b \\"2\\"'],
      ['1', 'c'],
    ],
    read.stdout.slice(0, 2000),
  )
})

test('netplan makes a connection of each network, and NetworkManager knows which to prefer', (t) => {
  const netplan = needTool(t, 'netplan', 'netplan.io')
  if (netplan === undefined) return
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'etc/netplan'), { recursive: true })
  const others = (three.wifi?.others ?? []).map(({ sae: _, ...network }) => network)
  const { network } = networkConfigV2([{ ...three, wifi: { ...access, others } }])
  const tree = { network: { ...(network as TreeMap), renderer: 'NetworkManager' } }
  // This netplan is older than that key, and than SAE.
  const text = formatYaml(tree).replace(/.*regulatory-domain.*\n/, '')
  writeFileSync(join(folder, 'etc/netplan/50.yaml'), text, { mode: 0o600 })
  const { status, stderr } = run(netplan, ['generate', '--root-dir', folder])
  assert.equal(status, 0, stderr)
  const connections = join(folder, 'run/NetworkManager/system-connections')
  const found = readdirSync(connections)
    .filter((name) => name.includes('wlan0'))
    .map((name) => readFileSync(join(connections, name), 'utf8'))
    .map((keyfile) => [/^ssid=(.*)$/m.exec(keyfile)?.[1], /^autoconnect-priority=(.*)$/m.exec(keyfile)?.[1]])
  assert.deepEqual(found.sort(), [
    ['a', '100'],
    ['b "2"', '99'],
    ['c', '98'],
  ])
})

test('a pass phrase that no daemon could read is refused', () => {
  for (const sae of ['seven77', 'a\nb eight', 'ü'.repeat(8)])
    assert.throws(() => formatNmKeyfile(withSae({ sae: new Secret(sae) }), 'a'), /8 to 63 characters/)
})

test('a connection has an identity of its own, the same every time', () => {
  assert.match(
    connectionUuid('a', 'eth0'),
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  assert.equal(connectionUuid('a', 'eth0'), connectionUuid('a', 'eth0'))
  assert.notEqual(connectionUuid('a', 'eth0'), connectionUuid('b', 'eth0'))
})

const bad: [string, NetworkProfile][] = [
  ['a name with a line end', { ...eth0, name: 'eth0\n[Network]' }],
  ['a name too long', { ...eth0, name: 'a'.repeat(16) }],
  ['an address that is none', { ...eth0, address: { ip: '192.168.2.11\nDNS=1.1.1.1', prefix: 24 } }],
  ['/32', { ...eth0, address: { ip: '192.168.2.11', prefix: 32 } }],
  ['/0', { ...eth0, address: { ip: '192.168.2.11', prefix: 0 } }],
  [
    'a gateway with a blank',
    { ...eth0, address: { ip: '192.168.2.11', prefix: 24, gateway: '1.1.1.1 2.2.2.2' } },
  ],
  ['a name server with a semicolon', { ...eth0, dns: ['1.1.1.1;'] }],
  ['a domain with a quote', { ...eth0, domain: 'lan"' }],
  ['a domain with a specifier', { ...eth0, domain: '%H' }],
  ['an empty Wi-Fi name', { ...wlan0, wifi: { ...access, ssid: '' } }],
  ['a Wi-Fi name of 33 bytes', { ...wlan0, wifi: { ...access, ssid: 'a'.repeat(33) } }],
  ['a pass phrase where the key belongs', { ...wlan0, wifi: { ...access, psk: new Secret('secret\n}') } }],
  [
    'a second network without a name',
    { ...wlan0, wifi: { ...access, others: [{ ssid: '', hidden: false }] } },
  ],
  ['a country that is none', { ...wlan0, wifi: { ...access, country: 'de' } }],
]
for (const [name, profile] of bad) {
  test(`every renderer refuses ${name}`, () => {
    const renderers = [
      () => formatNmKeyfile(profile, 'n'),
      () => formatNetworkdUnit(profile),
      () => formatDhcpcdConf([profile]),
      () => formatInterfacesD(profile),
      () => networkConfigV1([profile]),
      () => networkConfigV2([profile]),
    ]
    for (const render of renderers) {
      assert.throws(
        render,
        (error: Error) => error instanceof UsageError && !error.message.includes('secret'),
      )
    }
  })
}
