/**
 * `nfsroot=` and `ip=` of a kernel command line, as text → values and judged.
 *
 * With an initial RAM disk klibc's nfsmount and ipconfig read them, which know
 * fewer words than the kernel; without one the kernel itself.
 *
 * Source: Linux, Documentation/admin-guide/nfs/nfsroot.rst; klibc 2.0,
 * usr/kinit/nfsmount/main.c and usr/kinit/ipconfig/main.c.
 */

export interface NfsRoot {
  /** undefined: the server of `ip=`. */
  server?: string
  folder: string
  options: string[]
}

export interface IpParameter {
  client: string
  server: string
  gateway: string
  netmask: string
  hostname: string
  device: string
  autoconf: string
}

/** `[server:]folder[,options]`. @param client what `%s` stands for */
export function parseNfsRoot(value: string, client: string): NfsRoot {
  const [place = '', ...options] = value.split(',')
  const [, server, folder = ''] = /^(?:([^/]*):)?(.*)$/.exec(place) ?? []
  return {
    server: server === '' ? undefined : server,
    folder: folder.replace('%s', client),
    options: options.filter((option) => option !== ''),
  }
}

/** `client:server:gateway:netmask:hostname:device:autoconf…`, or a word of autoconf alone. */
export function parseIpParameter(value: string): IpParameter {
  const fields = value.includes(':') ? value.split(':') : ['', '', '', '', '', '', value]
  const [client = '', server = '', gateway = '', netmask = '', hostname = '', device = '', autoconf = ''] =
    fields
  return { client, server, gateway, netmask, hostname, device, autoconf }
}

/** The address is asked for when the kernel is up already. */
export const asksDhcp = ({ client, autoconf }: IpParameter): boolean =>
  ['dhcp', 'on', 'any', 'both', 'bootp'].includes(autoconf) || (client === '' && autoconf === '')

/** Words for the seventh field that both readers know. */
export const AUTOCONF = ['', 'off', 'none', 'static', 'on', 'any', 'dhcp', 'bootp', 'both']

const klibcFlags =
  'soft hard intr nointr posix noposix cto nocto ac noac lock nolock acl noacl v3 tcp ro rw broken_suid'.split(
    ' ',
  )
const klibcNumbers = 'port nfsvers vers rsize wsize timeo retrans acregmin acregmax acdirmin acdirmax'.split(
  ' ',
)

/** @returns why klibc's nfsmount refuses an option; undefined: it takes it */
export function faultOfKlibcOption(option: string): string | undefined {
  const [key = '', value] = option.split('=', 2)
  if (option === 'udp') return 'no server listens to UDP any more'
  if (option === 'v2') return 'servers have no version 2 any more'
  if (value === undefined) return klibcFlags.includes(key) ? undefined : `it knows no ${key}`
  if (!klibcNumbers.includes(key)) return `it knows no ${key}=`
  if (!/^(0x[\da-f]+|\d+)$/i.test(value)) return `${key}= takes a whole number`
  if (['vers', 'nfsvers'].includes(key) && value !== '3')
    return value === '2' ? 'servers have no version 2 any more' : 'it mounts version 3 only'
  return undefined
}

/** The NFS version that is asked for; undefined: not said. */
export function versionOf(options: readonly string[]): string | undefined {
  const said = options.flatMap((option) => {
    const version = /^(?:nfs)?vers=(.+)$/.exec(option)?.[1] ?? /^v([234])$/.exec(option)?.[1]
    return version === undefined ? [] : [version]
  })
  return said.at(-1)
}
