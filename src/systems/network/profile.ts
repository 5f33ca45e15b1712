/**
 * One network interface, as the renderers beside this file take it.
 *
 * A release may run NetworkManager, systemd-networkd, dhcpcd or ifupdown, and
 * the boot partition does not say which. So each stack gets its own file, made
 * from this one value, and first boot installs the one whose daemon is there.
 * `address: 192.168.2.11/24` must mean the same in all of them.
 */
import { createHash } from 'node:crypto'
import { UsageError } from '../../errors.ts'
import { interfaceName, oneWord, showValue } from '../../plain-value.ts'
import type { Secret } from '../../secret.ts'

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

export interface WifiAccess {
  ssid: string
  /** 64 hex digits; undefined: an open network. */
  psk?: Secret
  /** Two upper-case letters. */
  country: string
  hidden: boolean
}

/** Dotted quad, or IPv6 where a name server has one. */
function checkIp(ip: string, what: string): string {
  oneWord(ip, what)
  if (!/^(?:\d{1,3}\.){3}\d{1,3}$/.test(ip) && !/^[0-9a-f:]+$/i.test(ip)) {
    throw new UsageError(`${what} is ${showValue(ip)}, which is no IP address`, {
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
    throw new UsageError(`${showValue(domain)} is no domain name`, {
      hint: 'Write it as lan or cluster.example.',
    })
  }
  if (wifi !== undefined) checkWifi(wifi)
  return profile
}

function checkWifi({ ssid, psk, country }: WifiAccess): void {
  const length = Buffer.byteLength(ssid)
  if (length === 0 || length > 32 || ssid.includes('\0')) {
    throw new UsageError(`the Wi-Fi name ${showValue(ssid)} is ${length} bytes long; 1 to 32 are possible`, {
      hint: 'Write the name as the access point shows it.',
    })
  }
  if (!/^[A-Z]{2}$/.test(country)) {
    throw new UsageError(`${showValue(country)} is no Wi-Fi country`, {
      hint: 'Two letters, as in US or DE.',
    })
  }
  if (psk !== undefined && !/^[0-9a-f]{64}$/i.test(psk.reveal())) {
    throw new UsageError(`the key of the Wi-Fi ${showValue(ssid)} is not 64 hex digits`, {
      hint: 'It is derived from the pass phrase; give that instead.',
    })
  }
}

/** Stable identity of a connection: the same node and interface always get the same one. RFC 9562 version 8. */
export function connectionUuid(node: string, name: string): string {
  const hex = createHash('sha256').update(`piimage connection ${node} ${name}`).digest('hex')
  const variant = '89ab'[Number.parseInt(hex.charAt(16), 16) % 4]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** 24 → 255.255.255.0, without bit operators (they wrap). */
export function netmask(prefix: number): string {
  const bytes: number[] = []
  for (let byte = 0; byte < 4; byte += 1) {
    const bits = Math.min(8, Math.max(0, prefix - 8 * byte))
    bytes.push(256 - 2 ** (8 - bits))
  }
  return bytes.join('.')
}
