/**
 * IPv4 addresses as whole numbers, 0 to 2^32 - 1.
 *
 * `>>> 0` keeps them unsigned; the bit operators are safe here because an
 * address has exactly 32 bits.
 */

/** A network: its first address and its prefix length. */
export interface Cidr {
  base: number
  prefix: number
}

/** Dotted quad, no leading zeros (some programs read those as octal); undefined: not an address. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  let value = 0
  for (const octet of match.slice(1)) {
    if (Number(octet) > 255 || (octet.length > 1 && octet.startsWith('0'))) return undefined
    value = value * 256 + Number(octet)
  }
  return value
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

/** `10.3.50.11/24` → its address and prefix; undefined: not of that form. */
export function parseIpv4WithPrefix(text: string): { address: number; prefix: number } | undefined {
  const match = /^([0-9.]+)\/(\d{1,2})$/.exec(text)
  const address = parseIpv4(match?.[1] ?? '')
  const prefix = Number(match?.[2])
  if (match === null || address === undefined || prefix > 32) return undefined
  return { address, prefix }
}

const mask = (prefix: number): number => (prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0)

/** 24 → 255.255.255.0 */
export const netmaskOf = (prefix: number): string => formatIpv4(mask(prefix))

/** The network that an address with a prefix lies in. */
export function networkOf(address: number, prefix: number): Cidr {
  return { base: (address & mask(prefix)) >>> 0, prefix }
}

export function parseCidr(text: string): Cidr | undefined {
  const parsed = parseIpv4WithPrefix(text)
  return parsed === undefined ? undefined : networkOf(parsed.address, parsed.prefix)
}

export const formatCidr = ({ base, prefix }: Cidr): string => `${formatIpv4(base)}/${prefix}`

/** The last address of a network: its broadcast address. */
export const lastOf = ({ base, prefix }: Cidr): number => base + (2 ** (32 - prefix) - 1)

export const contains = (network: Cidr, address: number): boolean =>
  address >= network.base && address <= lastOf(network)

export const overlap = (a: Cidr, b: Cidr): boolean => a.base <= lastOf(b) && b.base <= lastOf(a)
