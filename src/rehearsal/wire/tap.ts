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
import { mustRunTool, runTool, withoutIpv6 } from './tools.ts'

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
const TO_DHCP_SERVER = 'match ip protocol 17 0xff match ip dport 67 0xffff'
const TO_DHCP_CLIENT = 'match ip protocol 17 0xff match ip dport 68 0xffff'

/** Names of interfaces hold no blanks, so command lines can be written as such. */
const words = (line: string): string[] => line.split(' ')

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
  const priority = FIRST_PRIORITY + slot
  const tc = (line: string) => mustRunTool('tc', words(line))
  const removeFilters = async () => {
    for (const side of ['ingress', 'egress'])
      await runTool('tc', words(`filter del dev ${serverInterface} ${side} pref ${priority}`))
  }
  const veth = `link add ${name} type veth peer name eth0 address ${mac} netns ${namespace}`
  const added = await runTool('ip', words(veth))
  if (added.status !== 0)
    throw new UsageError(`${name} can’t be made: ${added.stderr.trim()}`, {
      hint: added.stderr.includes('File exists')
        ? 'Another piimage netroot verify is running: wait for it.'
        : 'Rehearsing a boot needs root and a kernel with veth; --offline looks at the files alone.',
    })
  const close = async () => {
    await removeFilters()
    await runTool('ip', words(`link del ${name}`))
  }
  try {
    // Left by a rehearsal that was killed.
    await removeFilters()
    const shown = await mustRunTool('ip', words(`-j link show dev ${serverInterface}`))
    const [link] = JSON.parse(shown) as { address: string }[]
    await withoutIpv6(name)
    // Frames to the server's address must count as its own when they come in here.
    await mustRunTool('ip', words(`link set ${name} address ${link?.address} up`))
    await tc(`qdisc add dev ${name} clsact`)

    const inward = `action mirred ingress redirect dev ${serverInterface}`
    const toWire = `action mirred egress mirror dev ${serverInterface} pipe`
    await tc(`filter add dev ${name} ingress pref 1 protocol ip u32 ${TO_DHCP_SERVER} ${toWire} ${inward}`)
    await tc(`filter add dev ${name} ingress pref 2 protocol all u32 match u32 0 0 ${inward}`)

    const filter = (side: string) => `filter add dev ${serverInterface} ${side} pref ${priority} protocol`
    const copy = `action mirred egress mirror dev ${name} continue`
    const turnRound = `action mirred egress redirect dev ${name}`
    await tc(`${filter('egress')} all u32 match ether dst ${mac} ${turnRound}`)
    await tc(`${filter('egress')} all u32 match ether dst ${BROADCAST} ${copy}`)
    await tc(`${filter('ingress')} ip u32 ${TO_DHCP_CLIENT} ${copy}`)
    return { close }
  } catch (error) {
    await close()
    throw error
  }
}
