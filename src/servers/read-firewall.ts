/** This machine's firewall, as it is: who keeps it, and what it shuts. */
import type { RunProgram } from '../io/run-program.ts'
import type { Firewall } from './machine.ts'
import { type FilterTable, parseIptablesSave, parseNftRuleset, shuttingChains } from './packet-filter.ts'

/**
 * @param face the interface that faces the cluster
 * @returns undefined: nothing is shut, or this user may not look
 */
export async function readFirewall(face: string, run: RunProgram): Promise<Firewall | undefined> {
  const tell = async (program: string, ...args: string[]): Promise<string> => {
    const ran = await run(program, args)
    return ran.status === 0 ? ran.stdout : ''
  }
  const tables = tablesOf(await tell('nft', '-j', 'list', 'ruleset'))
  const iptables = parseIptablesSave(await tell('iptables-save', '-t', 'filter'))
  // What iptables keeps is read as iptables tells it: nft does not tell its own matches.
  const others =
    iptables === undefined ? tables : tables.filter(({ family, name }) => `${family} ${name}` !== 'ip filter')
  const inputs = shuttingChains([...others, ...(iptables === undefined ? [] : [iptables])])
  if (inputs.length === 0) return undefined
  if ((await tell('firewall-cmd', '--state')).trim() === 'running') {
    const zone = (await tell('firewall-cmd', `--get-zone-of-interface=${face}`)).trim()
    return {
      manager: 'firewalld',
      inputs,
      zone: zone || (await tell('firewall-cmd', '--get-default-zone')).trim(),
    }
  }
  if (/^Status: active$/m.test(await tell('ufw', 'status'))) return { manager: 'ufw', inputs }
  return { manager: inputs.every(({ table }) => table.isIptables) ? 'iptables' : 'nftables', inputs }
}

function tablesOf(json: string): FilterTable[] {
  try {
    return json === '' ? [] : parseNftRuleset(json)
  } catch {
    // An nft that tells it otherwise: then iptables' word is all there is.
    return []
  }
}
