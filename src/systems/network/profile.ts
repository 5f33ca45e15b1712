/**
 * One network interface, as the renderers beside this file take it.
 *
 * A release may run NetworkManager, systemd-networkd, dhcpcd or ifupdown, and
 * the boot partition does not say which. So each stack gets its own file, made
 * from this one value, and first boot installs the one whose daemon is there.
 * `address: 192.168.2.11/24` must mean the same in all of them.
 */
import { UsageError } from '../../errors.ts'
import { interfaceName, oneWord, showValue } from '../../plain-value.ts'
import type { Secret } from '../../secret.ts'
import { uuidOf } from '../../uuid.ts'

export interface NetworkProfile {
  /** Kernel name. */
  name: string
  /** undefined: DHCP. */
  address?: { ip: string; prefix: number; gateway?: string }
  dns: readonly string[]
  domain?: string
  /** Set for the Wi-Fi interface. */
  wifi?: WifiAccess
}

export interface WifiNetwork {
  ssid: string
  /** 64 hex digits, for WPA2. */
  psk?: Secret
  /** Pass phrase, for WPA3; neither: an open network. */
  sae?: Secret
  hidden: boolean
}

/** The radio, and the network it prefers. */
export interface WifiAccess extends WifiNetwork {
  /** Two upper-case letters. */
  country: string
  /** Further networks, preferred ones first: each renderer writes them all (`networksOf`). */
  others?: readonly WifiNetwork[]
}

/** NetworkManager's, of the network that is preferred; each further one has one less. */
export const HIGHEST_PRIORITY = 100

/** Every network that a radio may join, preferred ones first. */
export const networksOf = (wifi: WifiAccess): WifiNetwork[] => [wifi, ...(wifi.others ?? [])]

/** Dotted quad, or IPv6 where a name server has one. */
function checkIp(ip: string, what: string): string {
  oneWord(ip, what)
  if (!/^(?:\d{1,3}\.){3}\d{1,3}$/.test(ip) && !/^[0-9a-f:]+$/i.test(ip)) {
    throw new UsageError(`${what} is ${showValue(ip)}, which is not an IP address`, {
      hint: 'Write it as 192.168.2.11.',
    })
  }
  return ip
}

/**
 * @returns the profile, every value of which can stand in a line of any renderer
 * @throws {UsageError} a value that cannot
 */
export function checkProfile(profile: NetworkProfile): NetworkProfile {
  const { name, address, dns, domain, wifi } = profile
  interfaceName(name)
  if (address !== undefined) {
    checkIp(address.ip, `the address of ${name}`)
    if (address.gateway !== undefined) checkIp(address.gateway, `the gateway of ${name}`)
    if (!Number.isInteger(address.prefix) || address.prefix < 1 || address.prefix > 31) {
      throw new UsageError(
        `${name} has the prefix /${address.prefix}; an address on a network needs /1 to /31`,
        {
          hint: `Write ${address.ip}/24, or the size your network has.`,
        },
      )
    }
  }
  for (const server of dns) checkIp(server, `a name server of ${name}`)
  if (domain !== undefined && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(domain)) {
    throw new UsageError(`${showValue(domain)} is not a valid domain name`, {
      hint: 'Write it as lan or cluster.example.',
    })
  }
  if (wifi !== undefined) checkWifi(wifi)
  return profile
}

function checkWifi(wifi: WifiAccess): void {
  const { country } = wifi
  if (!/^[A-Z]{2}$/.test(country)) {
    throw new UsageError(`${showValue(country)} is not a valid Wi-Fi country`, {
      hint: 'Two letters, as in US or DE.',
    })
  }
  networksOf(wifi).forEach(checkNetwork)
}

function checkNetwork({ ssid, psk, sae }: WifiNetwork): void {
  const length = Buffer.byteLength(ssid)
  if (length === 0 || length > 32 || ssid.includes('\0')) {
    throw new UsageError(`the Wi-Fi name ${showValue(ssid)} is ${length} bytes long; 1 to 32 are possible`, {
      hint: 'Write the name as the access point shows it.',
    })
  }
  if (psk !== undefined && !/^[0-9a-f]{64}$/i.test(psk.reveal())) {
    throw new UsageError(`the key of the Wi-Fi ${showValue(ssid)} is not 64 hex digits`, {
      hint: 'It is derived from the pass phrase; give that instead.',
    })
  }
  if (sae !== undefined && !/^[\x20-\x7e]{8,63}$/.test(sae.reveal())) {
    throw new UsageError(
      `the pass phrase of the Wi-Fi ${showValue(ssid)} is not 8 to 63 characters of ASCII`,
      {
        hint: 'Letters, digits, signs and blanks.',
      },
    )
  }
}

/** Stable identity of a connection: the same node and interface always get the same one. */
export const connectionUuid = (node: string, name: string): string =>
  uuidOf(`piimage connection ${node} ${name}`)
