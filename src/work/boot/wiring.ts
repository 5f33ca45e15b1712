/** The network of a run: QEMU's own for one guest, a switch for several. */
import { join } from 'node:path'
import { parseIpv4 } from '../../cluster/ipv4.ts'
import { freePort, guestMac, networkCard, type UserNetwork, userNetwork } from '../../emulator/network.ts'
import { Switch } from '../../emulator/switch.ts'
import { UsageError } from '../../errors.ts'
import { type Caller, note } from '../caller.ts'
import type { Subject } from './subject.ts'

export interface Wiring {
  /** Port of 127.0.0.1 that leads to the ssh of the guest of that place in the list. */
  ports: number[]
  /** QEMU's arguments for its network. */
  cardOf(index: number, machine: string): string[]
  close(): Promise<void>
}

/** @throws {UsageError} several guests, and one whose address nobody knows */
export async function plugIn(
  subjects: readonly Subject[],
  { folder, open }: { folder: string; open: boolean },
  caller: Pick<Caller, 'onEvent'>,
): Promise<Wiring> {
  const ports: number[] = []
  for (const _ of subjects) ports.push(await freePort())
  const taken = subjects.flatMap(({ expected }) => expected.address?.ip ?? [])
  const { address } = subjects.find(({ expected }) => expected.address !== undefined)?.expected ?? {}
  const network: UserNetwork = {
    subnet: address && { address: parseIpv4(address.ip) ?? 0, prefix: address.prefix },
    gateway: address?.gateway,
    ...{ taken, open },
    forwards: subjects.map(({ expected }, index) => ({
      port: ports[index] as number,
      address: expected.address?.ip,
    })),
  }
  const macOf = (index: number) => subjects[index]?.mac ?? guestMac(index)
  if (subjects.length === 1)
    return {
      ports,
      cardOf: (index, machine) => [
        ...['-netdev', userNetwork('net', network)],
        ...networkCard(machine, 'net', macOf(index)),
      ],
      close: async () => {},
    }
  const nameless = subjects.find(({ expected }) => expected.address === undefined)
  if (nameless !== undefined)
    throw new UsageError(
      `${nameless.name} has no fixed address on eth0, so it can't be found among several`,
      {
        hint: `Start it alone: piimage boot ${nameless.name}`,
      },
    )
  const lan = await Switch.open(join(folder, 'switch'))
  lan.startGateway(userNetwork('out', network), (text) =>
    note(caller, `the switch's gateway: ${text.trim()}`),
  )
  return {
    ports,
    cardOf: (index, machine) => ['-netdev', lan.plug('net'), ...networkCard(machine, 'net', macOf(index))],
    close: () => lan.close(),
  }
}
