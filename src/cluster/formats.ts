/**
 * How each kind of text in a cluster file must look, and what to say when it doesn't.
 *
 * The schema names these as `format`; each says what is wrong with a value and
 * what would be right. Only the text itself is judged here; whether it fits the
 * rest of the file is judged in lint.ts.
 */

import { suggest } from '../nearest.ts'
import { isHostName } from '../plain-value.ts'
import { trimEnd } from '../trim-end.ts'
import { formatCidr, networkOf, parseIpv4, parseIpv4WithPrefix } from './ipv4.ts'
import { isSystemAccount } from './known/accounts.ts'
import { guessKeyboard, isLayout } from './known/keyboards.ts'
import { guessLocale, isLocale } from './known/locales.ts'
import { canonicalZone, nearestZone, zoneAtOffset } from './known/time-zones.ts'

export interface Complaint {
  /** Completes `"<value>" …`. */
  problem: string
  hint: string
}

/** @returns undefined when the text is right */
export type Format = (text: string) => Complaint | undefined

const complain = (problem: string, hint: string): Complaint => ({ problem, hint })

const pattern =
  (allowed: RegExp, problem: string, hint: string): Format =>
  (text) =>
    allowed.test(text) ? undefined : complain(problem, hint)

const imageKey = pattern(
  /^[a-z0-9][a-z0-9.+-]*(@[A-Za-z0-9][A-Za-z0-9.+-]*)?$/,
  'is not a valid image name',
  'raspios-trixie-arm64-lite for the newest of that name, or with its version behind an @; piimage images list shows them',
)

/** RFC 1123 label, lower case. */
const hostName: Format = (text) => {
  if (text === 'localhost') return complain("is every machine's name for itself", 'choose another name')
  if (isHostName(text)) return undefined
  const plain = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
  const better = trimEnd(plain.slice(0, 63), '-')
  const rule = 'a-z, 0-9 and - inside, at most 63 characters (RFC 1123)'
  return complain(
    'is not a valid host name',
    better === '' || better === 'localhost' ? rule : `${rule}; for example ${better}`,
  )
}

const userName: Format = (text) => {
  if (text === 'root') return complain("can't be the user", 'choose another name; sudo makes them root')
  if (isSystemAccount(text))
    return complain(
      "is an account or a group of the system's own",
      `choose another name, such as ${text}1 or ops`,
    )
  if (/^[a-z][a-z0-9-]{0,31}$/.test(text)) return undefined
  return complain(
    'is not a valid user name',
    'a-z first, then a-z, 0-9 and -, at most 32 characters (no underscore: first boot refuses it)',
  )
}

const address: Format = (text) => {
  if (text === 'dhcp') return undefined
  const parsed = parseIpv4WithPrefix(text)
  if (parsed !== undefined) return hostAddress(parsed.address, parsed.prefix)
  if (parseIpv4(text) !== undefined)
    return complain('has no prefix length', `write ${text}/24 if the network's mask is 255.255.255.0`)
  if (text.includes(':')) return complain('is not an IPv4 address', 'write it as 10.3.50.11/24, or dhcp')
  return complain(
    'is not a valid address',
    'write it as 10.3.50.11/24 (each number 0–255, no leading zeros), or dhcp',
  )
}

const fixedAddress: Format = (text) =>
  text === 'dhcp'
    ? complain('is not an address that nodes can look for', 'write it as 10.3.50.2/24')
    : address(text)

function hostAddress(value: number, prefix: number): Complaint | undefined {
  const first = Math.floor(value / 2 ** 24)
  if (first === 0 || first === 127 || first >= 224)
    return complain("can't be a node's address", "choose one of the node's network")
  if (prefix >= 31)
    return complain(
      `leaves no room for neighbours: /${prefix} reaches no other node`,
      "write the network's prefix, usually /24",
    )
  if (prefix < 8)
    return complain(`spans more than any network: /${prefix}`, "write the network's prefix, usually /24")
  return undefined
}

const ip: Format = (text) => {
  if (parseIpv4(text) !== undefined) return undefined
  const bare = parseIpv4WithPrefix(text)
  return complain(
    'is not an IPv4 address',
    bare === undefined ? 'write it as 10.3.50.1' : `without prefix: ${text.replace(/\/.*/, '')}`,
  )
}

const cidr: Format = (text) => {
  const parsed = parseIpv4WithPrefix(text)
  if (parsed === undefined) return complain('is not a valid network', 'write it as 10.3.50.0/24')
  if (parsed.prefix < 8 || parsed.prefix > 30)
    return complain('is not usable as a network for nodes', 'a prefix of /8 to /30, usually /24')
  const network = networkOf(parsed.address, parsed.prefix)
  if (network.base !== parsed.address)
    return complain('is an address, not a network', `did you mean ${formatCidr(network)}?`)
  return undefined
}

const mac: Format = (text) => {
  const hint = 'six pairs of hex digits: b8:27:eb:d3:85:78'
  if (!/^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(text))
    return complain('is not a valid MAC address', hint)
  if (Number.parseInt(text.slice(0, 2), 16) % 2 === 1 || /^(00[:-]){5}00$/.test(text))
    return complain(
      'is not a valid MAC address of a board',
      'read it off the board: ip link, or arp on a neighbour',
    )
  return undefined
}

const serial: Format = (text) =>
  /^([0-9a-fA-F]{8}|[0-9a-fA-F]{16})$/.test(text)
    ? undefined
    : complain('is not a valid serial number', '8 or 16 hex digits, as in /proc/cpuinfo')

const ssid: Format = (text) => {
  const octets = Buffer.byteLength(text, 'utf8')
  if (octets === 0) return complain('is empty', "give the network's name")
  if (octets > 32) return complain(`has ${octets} octets`, 'a Wi-Fi name has at most 32')
  return hasControl(text)
    ? complain('holds a control character', 'give the name as the access point shows it')
    : undefined
}

const passphrase: Format = (text) => {
  if (!/^[\x20-\x7e]*$/.test(text))
    return complain(
      'holds a character that no Wi-Fi pass phrase may hold',
      'letters, digits and signs of ASCII only; or give psk',
    )
  if (text.length < 8 || text.length > 63)
    return complain(`has ${text.length} characters`, 'a Wi-Fi pass phrase has 8 to 63')
  return undefined
}

const regionNames = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
const country: Format = (text) => {
  if (text === 'UK') return complain('is not a valid country code', 'did you mean GB?')
  if (/^[a-z]{2}$/.test(text))
    return complain('is not a valid country code', `did you mean ${text.toUpperCase()}?`)
  const known = /^[A-Z]{2}$/.test(text) && text !== 'ZZ' && regionNames.of(text) !== undefined
  return known
    ? undefined
    : complain('is not a valid country code', 'two letters of ISO 3166, for example DE, GB or US')
}

const timezone: Format = (text) => {
  if (canonicalZone(text) !== undefined) return undefined
  const fixed = zoneAtOffset(text)
  if (fixed !== undefined)
    return complain(
      'is not a known time zone',
      fixed === 'Etc/UTC'
        ? 'did you mean Etc/UTC?'
        : `${fixed} is that, with its sign reversed; a place, such as Europe/Berlin, has daylight saving time too`,
    )
  const near = /^[A-Za-z0-9_+/ -]+$/.test(text) ? nearestZone(text) : undefined
  return complain(
    'is not a known time zone',
    near === undefined
      ? 'a name of the tz database, for example Europe/Berlin or Etc/UTC'
      : `did you mean ${near}?`,
  )
}

const keymap: Format = (text) => {
  if (isLayout(text)) return undefined
  const guess = guessKeyboard(text)
  if (guess === undefined) return complain('is not a known keyboard layout', 'a name like us, gb or de')
  const { layout, variant } = guess
  return complain(
    'is not a known keyboard layout',
    variant === undefined ? `did you mean ${layout}?` : `write keymap: ${layout}, keymapVariant: ${variant}`,
  )
}

const locale: Format = (text) => {
  if (isLocale(text)) return undefined
  const guess = guessLocale(text)
  return complain(
    'is not a valid locale',
    guess === undefined ? 'language, country and character set: en_US.UTF-8' : `did you mean ${guess}?`,
  )
}

/** Other words for a kind of Wi-Fi security: those of wpa_supplicant, NetworkManager, netplan and access points. */
const securityWords: Record<string, string> = {
  sae: 'wpa3',
  wpa3personal: 'wpa3',
  wpa3sae: 'wpa3',
  saeextkey: 'wpa3',
  psk: 'wpa2',
  wpapsk: 'wpa2',
  wpa2psk: 'wpa2',
  wpa2personal: 'wpa2',
  wpa: 'wpa2',
  none: 'open',
  wpa2wpa3: 'wpa2-wpa3',
  wpa3wpa2: 'wpa2-wpa3',
  transition: 'wpa2-wpa3',
  mixed: 'wpa2-wpa3',
}
const securities = ['wpa2', 'wpa3', 'wpa2-wpa3', 'open']

const wifiSecurity: Format = (text) => {
  if (securities.includes(text)) return undefined
  const plain = text.toLowerCase().replace(/[^a-z0-9]/g, '')
  const meant = securityWords[plain] ?? securities.find((word) => word === plain)
  return complain(
    'is not a valid kind of Wi-Fi security',
    meant !== undefined
      ? `did you mean ${meant}?`
      : /eap|enterprise|8021x|^owe|^wep/.test(plain)
        ? `one of: ${securities.join(', ')}; nothing here sets up enterprise networks, OWE or WEP`
        : suggest(text, securities, 'one of'),
  )
}

const passwordHash: Format = (text) => {
  const base64 = '[./0-9A-Za-z]'
  const known =
    new RegExp(`^\\$6\\$(rounds=[1-9]\\d{3,8}\\$)?${base64}{1,16}\\$${base64}{86}$`).test(text) ||
    new RegExp(`^\\$5\\$(rounds=[1-9]\\d{3,8}\\$)?${base64}{1,16}\\$${base64}{43}$`).test(text) ||
    new RegExp(`^\\$g?y\\$${base64}+\\$${base64}{1,86}\\$${base64}{43}$`).test(text) ||
    new RegExp(`^\\$7\\$${base64}{11,97}\\$${base64}{43}$`).test(text) ||
    new RegExp(`^\\$2[aby]\\$\\d\\d\\$${base64}{53}$`).test(text)
  return known
    ? undefined
    : complain(
        'is not a password hash',
        'make one with: openssl passwd -6, or give passwordFile; in YAML, put it in single quotes',
      )
}

const size: Format = pattern(
  /^[1-9]\d{0,5}[MGT]$/,
  'is not a valid size',
  'a whole number and M, G or T (powers of 1024): 8G',
)

function hasControl(text: string): boolean {
  return [...text].some((character) => (character.codePointAt(0) ?? 0) < 0x20 || character === '\x7f')
}

/** By the name the schema uses. */
export const formats: Record<string, Format> = {
  'host-name': hostName,
  'user-name': userName,
  address,
  'fixed-address': fixedAddress,
  ip,
  cidr,
  mac,
  serial,
  ssid,
  passphrase,
  country,
  timezone,
  'wifi-security': wifiSecurity,
  size,
  'password-hash': passwordHash,
  'group-of-users': pattern(
    /^[a-z_][a-z0-9_-]{0,31}$/,
    'is not a valid name of a group',
    'as `getent group` prints them: dialout, gpio, docker',
  ),
  shell: pattern(
    /^(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)+$/,
    'is not the path of a shell',
    'for example /bin/bash, or /usr/sbin/nologin',
  ),
  psk: pattern(
    /^[0-9a-fA-F]{64}$/,
    'is not a valid pre-shared key',
    '64 hex digits (wpa_passphrase prints them), or give passphraseFile',
  ),
  keymap,
  locale,
  domain: (text) =>
    text.length <= 253 && text.split('.').every(isHostName)
      ? undefined
      : complain('is not a valid domain', 'labels of a-z, 0-9 and -, with dots between: home.arpa'),
  'interface-name': pattern(
    /^[a-z][a-zA-Z0-9_-]{0,14}(\.\d{1,4})?$/,
    'is not a valid interface name',
    'as ip link shows it: eth0, wlan0, usb0, br0',
  ),
  'image-key': (text) => {
    // No name in a lock has a slash, or ends as image files do.
    if (/[/\\]|\.(?:img|zip|[gx]z|zst)$/i.test(text))
      return complain(
        'is a file or an address, and images go by their names in images.lock.json',
        `piimage images lock ${/^[\w.~/+@-]{1,100}$/.test(text) ? text : 'FILE'} pins it, and prints the name to write here`,
      )
    return imageKey(text)
  },
  clusterhat: (text) =>
    /^(cnat|cbridge|p([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-2]))$/.test(text)
      ? undefined
      : complain(
          'is not a ClusterHAT role',
          'cnat or cbridge for the controller, p1 to p252 for a Zero in that slot',
        ),
  'word-name': pattern(/^[a-z][a-z0-9-]{0,62}$/, 'is not a valid name', 'a-z first, then a-z, 0-9 and -'),
  'label-key': pattern(
    /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/,
    'is not a valid label',
    'letters, digits, . _ / and - inside',
  ),
  'label-value': pattern(
    /^([A-Za-z0-9]([A-Za-z0-9._:/-]{0,61}[A-Za-z0-9])?)?$/,
    'is not a valid label value',
    'letters, digits, . _ : / and - inside',
  ),
  lease: pattern(/^[1-9]\d{0,5}[smhd]?$/, 'is not a valid lease time', 'a number and s, m, h or d: 12h'),
  path: (text) =>
    text === '' || hasControl(text)
      ? complain('is not a valid path', 'relative to the cluster file, or from ~/')
      : undefined,
}
