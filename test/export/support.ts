/** Clusters to export: the examples, and made-up ones, judged by the same rules. */
import type { Cluster } from '../../src/cluster/node.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { head, parseRight, readStory } from '../cluster/support.ts'
import { testKey } from '../secrets/support.ts'

export const story = (name: string): Promise<Cluster> => parseRight(readStory(name))

/** A cluster of these lines below `nodes:` and others. */
export const made = (text: string): Promise<Cluster> =>
  parseRight(`${head}user: { name: ops, sshKeys: [~/.ssh/id_ed25519.pub] }\noverlays: [ssh]\n${text}`)

export const publicLineOf = (node: string): string => sshHostKey(testKey, node).publicLine
