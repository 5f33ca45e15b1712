/**
 * Judges what answered a board's DISCOVER: would this board, with these
 * answers, ask the right server for its files and get its own address?
 */

import { boards } from '../../cluster/boards.ts'
import { netmaskOf } from '../../cluster/ipv4.ts'
import type { ServedCluster, ServedNode } from '../../netroot/served.ts'
import type { Findings } from '../fault.ts'
import { faultOfBootMenu } from './boot-menu.ts'
import type { Offer } from './exchange.ts'
import { addressOption, OPTION } from './packet.ts'

const UNSET = '0.0.0.0'
const again = 'Write the servers’ files again: piimage netroot --apply.'

/** What somebody else's DHCP server gives a node; undefined: nothing, or there is none. */
export interface Judged {
  offered?: string
}

export function judgeOffers(
  served: ServedCluster,
  node: ServedNode,
  offers: readonly Offer[],
  findings: Findings,
): Judged {
  const proxy = served.network.dhcp === 'proxy'
  const dhcp = (place: string, problem: string, mend: string) => findings.fault('dhcp', place, problem, mend)
  const wire = `DHCP on ${served.server.interface}`
  if (offers.length === 0) {
    dhcp(
      wire,
      `no answer to the DISCOVER of ${node.name} (${node.mac})`,
      `Is dnsmasq running (systemctl status dnsmasq), does it reserve an address for ${node.mac}, and does the firewall let UDP 67 in on ${served.server.interface}?`,
    )
    return {}
  }
  const ours = offers.filter((offer) => serverOf(offer) === served.server.ip)
  const addresses = offers.filter(({ yiaddr }) => yiaddr !== UNSET)
  for (const offer of offers)
    if (!proxy && serverOf(offer) !== served.server.ip)
      dhcp(
        `DHCP server ${offer.from}`,
        `a second DHCP server answers and offers ${offer.yiaddr}; a Pi may take either`,
        `Switch it off on this network, or use it: network: { dhcp: proxy } in the cluster file.`,
      )
  if (proxy) judgeProxy(node, addresses, wire, findings)
  const menu = ours.find(({ options }) => options.has(OPTION.vendor)) ?? ours[0]
  if (menu === undefined) {
    dhcp(
      wire,
      `${served.server.ip} does not answer; only ${offers.map(({ from }) => from).join(', ')}`,
      `Is dnsmasq running (systemctl status dnsmasq), and does it know ${node.mac}?`,
    )
    return proxy && addresses[0] !== undefined ? { offered: addresses[0].yiaddr } : {}
  }
  judgeMenu(served, node, menu, findings)
  if (!proxy) judgeAddress(served, node, menu, findings)
  return proxy && addresses[0] !== undefined ? { offered: addresses[0].yiaddr } : {}
}

function judgeProxy(node: ServedNode, addresses: readonly Offer[], wire: string, findings: Findings): void {
  const [first, ...others] = addresses
  if (first === undefined)
    findings.fault(
      'dhcp',
      wire,
      `no DHCP server offers ${node.name} an address, and this one is only a proxy`,
      'Is the router’s DHCP on? Or let this server give addresses: leave dhcp: proxy out of the cluster file.',
    )
  if (others.length > 0)
    findings.fault(
      'dhcp',
      wire,
      `${addresses.map(({ from, yiaddr }) => `${from} offers ${yiaddr}`).join(', ')}`,
      'One DHCP server per network: switch the others off.',
    )
}

function judgeMenu(served: ServedCluster, node: ServedNode, offer: Offer, findings: Findings): void {
  const menu = offer.options.get(OPTION.vendor)
  const problem =
    menu === undefined ? 'it is missing, so the Pi does not take this for its server' : faultOfBootMenu(menu)
  if (problem !== undefined)
    findings.fault(
      'dhcp',
      'DHCP option 43',
      problem,
      `dnsmasq needs pxe-service=0,"Raspberry Pi Boot   " with three blanks at the end. ${again}`,
    )
  const server = tftpServerOf(offer, boards[node.model].loader !== 'bootcode')
  if (server !== served.server.ip)
    findings.fault(
      'dhcp',
      `DHCP ${server === offer.siaddr ? 'siaddr' : 'option 66'}`,
      `it sends the Pi to ${server} for its files; the server is ${served.server.ip}`,
      `Take dhcp-boot= and dhcp-option=66 out of dnsmasq's files. ${again}`,
    )
}

function judgeAddress(served: ServedCluster, node: ServedNode, offer: Offer, findings: Findings): void {
  if (offer.yiaddr !== node.ip)
    findings.fault(
      'dhcp',
      'DHCP address',
      `${node.name} (${node.mac}) is offered ${offer.yiaddr}; its address is ${node.ip}`,
      `Its reservation is missing or another's. ${again}`,
    )
  const mask = addressOption(offer, OPTION.subnetMask)
  const expected = netmaskOf(served.server.prefix)
  if (mask !== expected)
    findings.fault(
      'dhcp',
      'DHCP option 1',
      `the netmask is ${mask ?? 'missing'}; the network is /${served.server.prefix}, ${expected}`,
      `Give ${served.server.interface} the address ${served.server.ip}/${served.server.prefix}, with its prefix. ${again}`,
    )
}

/** The server a board asks for files: an EEPROM trusts option 66, then the menu's sender; a ROM the menu's sender. */
function tftpServerOf(offer: Offer, eeprom: boolean): string {
  const named = offer.options.get(OPTION.tftpServer)
  const name = named === undefined ? '' : Buffer.from(named).toString('latin1').replace(/\0+$/, '')
  if (eeprom && name !== '') return name
  return offer.siaddr !== UNSET ? offer.siaddr : serverOf(offer)
}

const serverOf = (offer: Offer): string => addressOption(offer, OPTION.serverId) ?? offer.from
