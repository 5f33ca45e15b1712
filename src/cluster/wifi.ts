/**
 * A node's Wi-Fi networks, with what lies in files of its own: a pass phrase to
 * turn into a key, or the key itself.
 *
 * What is a secret is never part of a message.
 */
import { Secret } from '../secret.ts'
import { deriveWpaPsk } from '../secrets/wpa-psk.ts'
import type { WifiSecurity, WifiSettings } from './file-shape.ts'
import { formats } from './formats.ts'
import type { Judge } from './judge.ts'
import { type Fields, hasMap, type Layer, networksOf, pick, type Said } from './layers.ts'
import type { LocalFiles } from './local-files.ts'
import type { Wifi, WifiNetwork } from './node.ts'
import { refuseTwice } from './refuse-twice.ts'
import { show } from './schema-check.ts'
import type { Path } from './yaml-source.ts'

type Network = Fields<WifiSettings>

const secretFields = ['passphraseFile', 'pskFile', 'psk', 'passphrase'] as const

/** Resolves the networks of nodes; a key that nodes share is derived once. */
export function openWifi(
  judge: Judge,
  files: LocalFiles,
): (node: { layers: readonly Layer[] }) => Wifi | undefined {
  const psks = new Map<string, Secret>()

  return (node) => {
    if (!hasMap(node, 'wifi')) return undefined
    const networks = networksOf(node)
    const country = countryOf(networks, pick(node, 'wifi')?.path ?? [])
    const names = networks.map(({ said }) => said('ssid'))
    refuseTwice(judge, 'network', names)
    const resolved = networks.map((network) => resolveNetwork(network, networks.length === 1))
    if (country === undefined || resolved.includes(undefined)) return undefined
    const [first, ...others] = resolved.filter((network) => network !== undefined)
    const more = others.flatMap(({ ssid, ...rest }) => (ssid === undefined ? [] : [{ ssid, ...rest }]))
    return { hidden: false, ...first, country, others: more }
  }

  /** A radio is in one country, whatever network it joins. */
  function countryOf(networks: readonly Network[], at: Path): string | undefined {
    const said = networks.flatMap(({ said }) => said('country') ?? [])
    const [first] = said
    if (first === undefined)
      judge.mistake(
        at,
        'wifi has no "country"',
        'without it the radio stays off; for example country: DE',
        'key',
      )
    const other = said.find(({ value }) => value !== undefined && value !== first?.value)
    if (first?.value === undefined || other === undefined) return first?.value
    judge.mistake(
      other.path,
      `the radio would be in ${first.value} and in ${other.value}`,
      'say where the node is, once',
    )
    return undefined
  }

  /** @param alone the country alone is enough for a radio that joins nothing */
  function resolveNetwork(
    { said, named, path }: Network,
    alone: boolean,
  ): (Omit<WifiNetwork, 'ssid'> & { ssid?: string }) | undefined {
    const ssid = said('ssid')
    const security = said('security')
    const hidden = said('hidden')
    const fields = named(secretFields)
    const isBare = alone && said('country') !== undefined && fields.length === 0
    if (ssid === undefined && (!isBare || security !== undefined || hidden !== undefined))
      judge.mistake(path, 'wifi has no "ssid"', "the network's name: ssid: attic", 'key')

    const [field, second] = fields
    const value = field === undefined ? undefined : said(field)
    let secret: { psk?: Secret; sae?: Secret } = {}
    if (second !== undefined)
      judge.mistake(said(second)?.path ?? path, `wifi has ${fields.join(' and ')}`, 'keep one of them', 'key')
    else if (security?.value !== undefined && !fitsSecurity(security, field)) return undefined
    else if (field !== undefined && value?.value !== undefined && ssid?.value !== undefined)
      secret = readSecret(field, value.value, value.path, ssid.value, security?.value ?? 'wpa2')
    if (ssid !== undefined && ssid.value === undefined) return undefined
    return { ssid: ssid?.value, ...secret, hidden: hidden?.value ?? false }
  }

  /** Whether what is given is what that kind of network asks for. */
  function fitsSecurity({ value, path }: Said<WifiSecurity>, field: string | undefined): boolean {
    if (value === undefined) return false
    if (value === 'open' && field !== undefined)
      judge.mistake(path, `an open network has no ${field}`, `take out one of the two`)
    else if (value !== 'open' && field === undefined)
      judge.mistake(path, `${value} needs a pass phrase`, 'give passphraseFile')
    else if (value.includes('wpa3') && field?.startsWith('psk'))
      judge.mistake(
        path,
        `${value} needs the pass phrase itself: a pre-shared key is of WPA2 alone`,
        'give passphraseFile in place of the key',
      )
    else return true
    return false
  }

  function readSecret(
    field: string,
    value: string,
    path: Path,
    ssid: string,
    security: WifiSecurity,
  ): { psk?: Secret; sae?: Secret } {
    const secret = field.endsWith('File') ? files.readSecretLine(value, path) : value
    if (secret === undefined) return {}
    if (field === 'psk' || field === 'passphrase')
      judge.warn(
        path,
        `wifi.${field} puts a secret into a file that git keeps`,
        'put it into a file that git ignores, and name that: passphraseFile',
        'key',
      )
    const format = field.startsWith('psk') ? 'psk' : 'passphrase'
    const complaint = formats[format]?.(secret)
    if (complaint !== undefined) {
      judge.mistake(path, `the first line of ${show(value)} ${complaint.problem}`, complaint.hint)
      return {}
    }
    if (format === 'psk') return { psk: new Secret(secret.toLowerCase()) }
    return {
      psk: security === 'wpa3' ? undefined : derive(secret, ssid),
      sae: security.includes('wpa3') ? new Secret(secret) : undefined,
    }
  }

  function derive(passphrase: string, ssid: string): Secret {
    const key = `${ssid}\n${passphrase}`
    const psk = psks.get(key) ?? new Secret(deriveWpaPsk(passphrase, ssid))
    psks.set(key, psk)
    return psk
  }
}
