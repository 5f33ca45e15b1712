/** A firewall that keeps nodes from their server, told with the lines that open it. */
import { runProgram } from '../../io/run-program.ts'
import type { ServedCluster } from '../../netroot/served.ts'
import { openingLines, shutOut } from '../../servers/firewall.ts'
import { readFirewall } from '../../servers/read-firewall.ts'
import type { Caller } from '../caller.ts'

/** Of this machine, as it is now. */
export async function tellFirewall(served: ServedCluster, { onEvent }: Caller): Promise<void> {
  const firewall = await readFirewall(served.server.interface, runProgram)
  const shut = firewall === undefined ? [] : shutOut(served, firewall)
  if (firewall === undefined || shut.length === 0) return
  onEvent({ event: 'firewall', manager: firewall.manager, shut, lines: openingLines(served, firewall) })
}
