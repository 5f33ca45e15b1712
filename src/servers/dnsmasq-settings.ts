/**
 * What somebody else's dnsmasq file says: keys and values, as far as piimage must
 * know them to stay out of the way. dnsmasq itself judges the rest (`--test`).
 *
 * Source: dnsmasq(8), "CONFIG FILE"; Debian's `CONFIG_DIR`.
 */

export interface DnsmasqSetting {
  /** 1-based. */
  line: number
  key: string
  /** '' for a switch. */
  value: string
}

/** The file that the overlay `router` puts on the node that routes. */
export const ROUTER_FILE = '/etc/dnsmasq.d/piimage-router.conf'

export function parseDnsmasqSettings(text: string): DnsmasqSetting[] {
  return text.split('\n').flatMap((line, index): DnsmasqSetting[] => {
    const [, key, value = ''] = /^\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*(.*?)\s*)?(?:#.*)?$/.exec(line) ?? []
    return key === undefined ? [] : [{ line: index + 1, key, value }]
  })
}

/** Whether dnsmasq reads a file of that name in a settings folder. */
export const isDnsmasqFile = (name: string): boolean => !/^\.|^#.*#$|~$|\.dpkg-(dist|old|new)$/.test(name)

/** What the router's dnsmasq does already on the interface that faces the cluster. */
export interface Router {
  /** Lends addresses, so that nobody else may. */
  lends: boolean
  /** Its own reservations. */
  reservations: { mac: string; ip: string | undefined }[]
}

/** @returns undefined when the router faces another network */
export function readRouter(
  settings: readonly DnsmasqSetting[],
  clusterInterface: string,
): Router | undefined {
  const valuesOf = (wanted: string): string[] =>
    settings.filter(({ key }) => key === wanted).map(({ value }) => value)
  if (!valuesOf('interface').includes(clusterInterface)) return undefined
  return {
    lends: valuesOf('dhcp-range').some((value) => !value.split(',').includes('proxy')),
    reservations: valuesOf('dhcp-host').map((value) => {
      const parts = value.split(',')
      return { mac: parts[0] ?? '', ip: parts.slice(1).find((part) => /^[0-9.]+$/.test(part)) }
    }),
  }
}
