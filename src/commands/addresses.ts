/** `--address NODE=ADDRESS`: where a node is that the cluster file gives no fixed address. */
import type { Cluster } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import type { KnownAddresses } from '../export/reach.ts'
import { findNode } from '../work/project.ts'

/** @throws {UsageError} a node that is not there, or no address */
export function parseAddresses(words: readonly string[], cluster: Cluster): KnownAddresses {
  return new Map(
    words.map((word) => {
      const [, name = '', address = ''] = /^([^=]*)=(.*)$/.exec(word) ?? []
      if (!/^[A-Za-z0-9][A-Za-z0-9.:_-]*$/.test(address))
        throw new UsageError(`--address ${word} is not NODE=ADDRESS`, {
          hint: `For example --address ${cluster.nodes[0]?.name}=192.168.1.7`,
        })
      return [findNode(cluster, name).name, address]
    }),
  )
}
