/**
 * A board that boots, as a program in its own network namespace: asks for an
 * address, fetches what it is told to, connects to NFS, opens its ssh port. It
 * says `done` and stays until it is killed.
 */
import { spawnSync } from 'node:child_process'
import { createConnection, createServer } from 'node:net'
import type { Model } from '../../src/cluster/node.ts'
import { discoverOf } from '../../src/rehearsal/dhcp/discover.ts'
import { askForOffers } from '../../src/rehearsal/dhcp/exchange.ts'
import { OPTION } from '../../src/rehearsal/dhcp/packet.ts'
import { fetchByTftp } from '../../src/rehearsal/tftp/client.ts'

export interface BoardStory {
  model: Model
  mac: string
  serial: string
  server: string
  /** Where a path ends with `?`, only its size is asked for. */
  fetch?: string[]
  /** Nobody will answer; it has done all it can when it has asked. */
  refused?: boolean
  mount?: boolean
  ssh?: boolean
}

if (process.argv[2] !== undefined) await live(JSON.parse(process.argv[2]))

async function live({
  model,
  mac,
  serial,
  server,
  fetch = [],
  refused,
  mount,
  ssh,
}: BoardStory): Promise<void> {
  const discover = discoverOf(model, mac, serial, 77)
  // It isn't played.
  discover.options.delete(OPTION.userClass)
  if (refused) {
    const askOn = (): Promise<unknown> => askForOffers(discover).then(askOn)
    void askOn()
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  const offers = refused ? [] : await askForOffers(discover)
  const ip = offers.find(({ yiaddr }) => yiaddr !== '0.0.0.0')?.yiaddr
  if (ip !== undefined) {
    spawnSync('ip', ['route', 'del', 'default'])
    spawnSync('ip', ['address', 'add', `${ip}/24`, 'dev', 'eth0'])
    for (const path of fetch)
      await fetchByTftp(
        { address: server, port: 69, blockBytes: 1024 },
        path.replace('?', ''),
        path.endsWith('?') ? 'probe' : 'read',
      )
    if (mount) await new Promise((resolve) => createConnection(2049, server, () => resolve(undefined)))
    if (ssh) await new Promise((resolve) => createServer().listen(22, () => resolve(undefined)))
  }
  process.stdout.write('done\n')
  setInterval(() => {}, 1000)
}
