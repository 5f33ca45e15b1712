/**
 * A place on the cluster's wire for a node that isn't there: a network
 * namespace with one interface, which has the node's MAC address and is joined
 * to the server's interface as if it were a port of the same switch.
 *
 * A macvlan would not do: it can't talk to the machine it is on. So one end of a
 * veth pair stands in the namespace, and `tc` passes frames between the other
 * end and the server's interface: what the node sends is taken for received,
 * what goes out to its address is turned round before the wire. Only DHCP goes
 * to the wire and comes back from it, so that a second DHCP server is heard.
 * Nothing of the server's own configuration is touched, and a namespace that
 * dies takes its interface with it.
 */
import { UsageError } from '../../errors.ts'
import { mustRunTool, runTool } from './tools.ts'

export interface Tap {
  close(): Promise<void>
}

/**
 * Make the server's interface take filters; once for all taps.
 * @returns what puts it back as it was
 */
export async function openWire(serverInterface: string): Promise<Tap> {
  // There already where something else filters; then it stays.
  const { status } = await runTool('tc', ['qdisc', 'add', 'dev', serverInterface, 'clsact'])
  return {
    async close() {
      if (status === 0) await runTool('tc', ['qdisc', 'del', 'dev', serverInterface, 'clsact'])
    },
  }
}

/** Priorities of our filters on the server's interface: one for each tap that is open at a time. */
const FIRST_PRIORITY = 47100

const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const everything = ['u32', 'match', 'u32', '0', '0']
const toDhcpServer = ['u32', 'match', 'ip', 'protocol', '17', '0xff', 'match', 'ip', 'dport', '67', '0xffff']
const toDhcpClient = ['u32', 'match', 'ip', 'protocol', '17', '0xff', 'match', 'ip', 'dport', '68', '0xffff']

/**
 * @param slot which of the taps that may be open at once
 * @param namespace process whose network namespace gets the interface `eth0`
 * @throws {UsageError} the system can't do it, or another rehearsal is going on
 */
export async function openTap(
  serverInterface: string,
  slot: number,
  mac: string,
  namespace: number,
): Promise<Tap> {
  const name = `piimage-tap${slot}`
  const priority = String(FIRST_PRIORITY + slot)
  const tc = (...args: string[]) => mustRunTool('tc', args)
  const side = (which: 'ingress' | 'egress', protocol: string) => [
    ...['filter', 'add', 'dev', serverInterface, which, 'pref', priority, 'protocol', protocol],
  ]
  const mirred = (...words: string[]) => ['action', 'mirred', ...words]
  const removeFilters = async () => {
    for (const which of ['ingress', 'egress'])
      await runTool('tc', ['filter', 'del', 'dev', serverInterface, which, 'pref', priority])
  }
  const added = await runTool('ip', [
    ...[
      'link',
      'add',
      name,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'address',
      mac,
      'netns',
      String(namespace),
    ],
  ])
  if (added.status !== 0)
    throw new UsageError(`${name} can’t be made: ${added.stderr.trim()}`, {
      hint: added.stderr.includes('File exists')
        ? 'Another piimage netroot verify is running: wait for it.'
        : 'Rehearsing a boot needs root and a kernel with veth; --offline looks at the files alone.',
    })
  const close = async () => {
    await removeFilters()
    await runTool('ip', ['link', 'del', name])
  }
  try {
    // Left by a rehearsal that was killed.
    await removeFilters()
    // Frames to the server's address must count as its own when they come in here.
    const link = JSON.parse(await mustRunTool('ip', ['-j', 'link', 'show', 'dev', serverInterface])) as {
      address: string
    }[]
    await mustRunTool('ip', [
      'link',
      'set',
      name,
      'address',
      link[0]?.address ?? '',
      'addrgenmode',
      'none',
      'up',
    ])
    await tc('qdisc', 'add', 'dev', name, 'clsact')
    const inward = ['ingress', 'redirect', 'dev', serverInterface]
    const fromNode = ['filter', 'add', 'dev', name, 'ingress']
    await tc(
      ...fromNode,
      'pref',
      '1',
      'protocol',
      'ip',
      ...toDhcpServer,
      ...mirred('egress', 'mirror', 'dev', serverInterface, 'pipe'),
      ...mirred(...inward),
    )
    await tc(...fromNode, 'pref', '2', 'protocol', 'all', ...everything, ...mirred(...inward))
    const copy = mirred('egress', 'mirror', 'dev', name, 'continue')
    await tc(
      ...side('egress', 'all'),
      'u32',
      'match',
      'ether',
      'dst',
      mac,
      ...mirred('egress', 'redirect', 'dev', name),
    )
    await tc(...side('egress', 'all'), 'u32', 'match', 'ether', 'dst', BROADCAST, ...copy)
    await tc(...side('ingress', 'ip'), ...toDhcpClient, ...copy)
    return { close }
  } catch (error) {
    await close()
    throw error
  }
}
