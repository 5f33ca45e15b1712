/**
 * The DHCPDISCOVER of each board's boot loader.
 *
 * Two things differ from the real packet: a ROM takes an answer sent to an
 * address that it doesn't have yet, a socket can't, so ours asks for a broadcast;
 * and a user class says in the server's log that no board is booting.
 *
 * Source: Raspberry Pi documentation, "Network boot flow"; RFC 4578 (options
 * 93, 94 and 97); raspberrypi/firmware about the Pi 3's constant xid.
 */

import { boards } from '../../cluster/boards.ts'
import type { Model } from '../../cluster/node.ts'
import { formatMachineId } from './machine-id.ts'
import { type DhcpMessage, OPTION } from './packet.ts'

/** Every Pi 3 sends this one, and takes any answer that has it. */
const PI3_XID = 0x26f30339

/** User class of a rehearsed boot. */
export const REHEARSAL = 'piimage-rehearsal'

const PARAMETERS = [1, 3, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135]

export type Discover = Pick<DhcpMessage, 'xid' | 'mac' | 'broadcast' | 'options'>

/**
 * @param serial 8 hex digits
 * @param someXid for boards that choose one
 */
export function discoverOf(model: Model, mac: string, serial: string, someXid: number): Discover {
  const { loader, machineId, revision } = boards[model]
  return {
    xid: loader === 'bootcode' ? PI3_XID : someXid,
    mac,
    broadcast: true,
    options: new Map<number, Uint8Array>([
      [OPTION.messageType, Buffer.of(1)],
      [OPTION.parameters, Buffer.from(PARAMETERS)],
      [OPTION.clientArchitecture, Buffer.of(0, 0)],
      [OPTION.clientInterface, Buffer.of(1, 2, 1)],
      [OPTION.machineId, formatMachineId(machineId, revision, mac, serial)],
      [OPTION.vendorClass, Buffer.from('PXEClient:Arch:00000:UNDI:002001')],
      // RFC 3004: each name with its length before it.
      [OPTION.userClass, Buffer.from(`${String.fromCharCode(REHEARSAL.length)}${REHEARSAL}`)],
    ]),
  }
}
