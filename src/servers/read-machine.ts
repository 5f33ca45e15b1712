/**
 * What else the machine does that is to serve: other people's dnsmasq and
 * exports, and, where it is this machine, its interfaces and listeners.
 */
import { readdir, readFile, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isMissing } from '../errno.ts'
import { NetrootError } from '../errors.ts'
import { complaintOf, type RunProgram, runProgram } from '../io/run-program.ts'
import { isDnsmasqFile, parseDnsmasqSettings } from './dnsmasq-settings.ts'
import type { Listener, Machine, RunningMachine } from './machine.ts'
import { readFirewall } from './read-firewall.ts'
import { DNSMASQ_FILE, EXPORTS_FILE } from './server-file.ts'

/**
 * @param prefix the folder that stands for `/`; '' is this machine, and only of
 *   that one is the network looked at
 * @param face the interface whose firewall is looked at
 */
export async function readMachine(
  { prefix = '', stateFolder, face }: { prefix?: string; stateFolder: string; face?: string },
  run: RunProgram = runProgram,
): Promise<Machine> {
  const dnsmasq: Machine['dnsmasq'] = []
  for (const file of ['/etc/dnsmasq.conf', ...(await namesIn(prefix, '/etc/dnsmasq.d', isDnsmasqFile))]) {
    const settings = parseDnsmasqSettings(await textOf(prefix + file))
    if (file !== DNSMASQ_FILE && settings.length > 0) dnsmasq.push({ file, settings })
  }
  const exports: string[] = []
  for (const file of ['/etc/exports', ...(await namesIn(prefix, '/etc/exports.d', isExports))])
    if (file !== EXPORTS_FILE && /^\s*[^#\s]/m.test(await textOf(prefix + file))) exports.push(file)
  return prefix === ''
    ? { dnsmasq, exports, running: await readRunning(stateFolder, face, run) }
    : { dnsmasq, exports }
}

const isExports = (name: string): boolean => /^[^.].*\.exports$/.test(name)

/** @returns '' where there is no file */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}

async function namesIn(
  prefix: string,
  folder: string,
  isWanted: (name: string) => boolean,
): Promise<string[]> {
  try {
    const entries = await readdir(prefix + folder, { withFileTypes: true })
    const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name)
    return names
      .filter(isWanted)
      .sort()
      .map((name) => join(folder, name))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function readRunning(
  stateFolder: string,
  face: string | undefined,
  run: RunProgram,
): Promise<RunningMachine> {
  const tell = async (program: string, ...args: string[]): Promise<string> => {
    const ran = await run(program, args)
    if (ran.status === 0) return ran.stdout
    throw new NetrootError(
      `${program} does not say how this machine's network is set up: ${complaintOf(ran)}`,
      {
        hint: 'Install it: apt-get install iproute2',
      },
    )
  }
  const addresses = parseAddresses(await tell('ip', '-j', 'addr', 'show'))
  const uplinks = parseUplinks(await tell('ip', '-j', 'route', 'show', 'default'))
  const own = (await textOf('/run/dnsmasq/dnsmasq.pid')).trim()
  return {
    interfaces: addresses,
    uplinks,
    listeners: parseListeners(await tell('ss', '-H', '-l', '-n', '-t', '-u', '-p'), own),
    nfsServer: await hasNfsServer(run),
    freeBytes: await freeBytesAt(stateFolder),
    firewall: face === undefined ? undefined : await readFirewall(face, run),
  }
}

/** `ip -j addr show`. */
function parseAddresses(json: string): RunningMachine['interfaces'] {
  const links = JSON.parse(json) as {
    ifname: string
    addr_info?: { family: string; local: string; prefixlen: number }[]
  }[]
  return links.map(({ ifname, addr_info = [] }) => ({
    name: ifname,
    addresses: addr_info
      .filter(({ family }) => family === 'inet')
      .map(({ local, prefixlen }) => ({ ip: local, prefix: prefixlen })),
  }))
}

/** `ip -j route show default`. */
const parseUplinks = (json: string): string[] =>
  (JSON.parse(json || '[]') as { dev?: string }[]).flatMap(({ dev }) => dev ?? [])

/**
 * `ss -H -l -n -t -u -p`: `udp UNCONN 0 0 0.0.0.0%eth0:67 0.0.0.0:* users:(("dnsmasq",pid=9,fd=4))`.
 * @param own process number of the dnsmasq that reads our settings
 */
export function parseListeners(text: string, own: string): Listener[] {
  return text.split('\n').flatMap((line): Listener[] => {
    const [protocol = '', , , , local = '', , users = ''] = line.trim().split(/\s+/)
    const [, address, scope, port] = /^([^%]*?)(?:%(.*))?:(\d+)$/.exec(local) ?? []
    if (!['tcp', 'udp'].includes(protocol) || address === undefined) return []
    const [, program, pid] = /\("([^"]*)",pid=(\d+)/.exec(users) ?? []
    return [
      {
        protocol: protocol as Listener['protocol'],
        address,
        interface: scope,
        port: Number(port),
        program,
        isOurs: own !== '' && pid === own,
      },
    ]
  })
}

async function hasNfsServer(run: RunProgram): Promise<boolean> {
  if (/\bnfsd$/m.test(await textOf('/proc/filesystems'))) return true
  return (await run('modinfo', ['nfsd'])).status === 0
}

/** Free space where the folder is, or will be. */
async function freeBytesAt(folder: string): Promise<number> {
  for (let path = folder; ; path = dirname(path)) {
    try {
      const { bavail, bsize } = await statfs(path)
      return bavail * bsize
    } catch (error) {
      if (!isMissing(error) || path === dirname(path)) throw error
    }
  }
}
