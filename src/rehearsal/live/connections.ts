/**
 * Who is connected to this machine's NFS server, and whose ssh answers.
 *
 * Source: Linux, Documentation/networking/proc_net_tcp.rst: addresses are hex in
 * the machine's own byte order, a word at a time.
 */
import { readFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { endianness } from 'node:os'
import { formatIpv4 } from '../../cluster/ipv4.ts'

const NFS_PORT = 2049
const ESTABLISHED = '01'
const SSH_MS = 1000

/** Addresses with a TCP connection to the NFS server here. */
export async function listMounters(): Promise<Set<string>> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'latin1').catch(() => '')),
  )
  return new Set(tables.flatMap((table) => parseConnections(table, NFS_PORT)))
}

/** @returns the other ends of connections to a local port */
export function parseConnections(table: string, port: number): string[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', remote = '', state] = line.trim().split(/\s+/)
    if (state !== ESTABLISHED || Number.parseInt(local.split(':')[1] ?? '', 16) !== port) return []
    // An IPv4 address is the last word of an IPv6 one that stands for it.
    const word = (remote.split(':')[0] ?? '').slice(-8)
    const bytes = Buffer.from(word, 'hex')
    return [formatIpv4(endianness() === 'LE' ? bytes.readUInt32LE(0) : bytes.readUInt32BE(0))]
  })
}

/** Those of the addresses whose ssh port takes a connection. */
export async function findAnsweringSsh(addresses: readonly string[]): Promise<Set<string>> {
  const answers = await Promise.all(
    addresses.map(
      (host) =>
        new Promise<string[]>((resolve) => {
          const socket = createConnection({ host, port: 22 })
          const end = (found: string[]) => {
            socket.destroy()
            resolve(found)
          }
          socket.once('connect', () => end([host]))
          socket.once('error', () => end([]))
          socket.setTimeout(SSH_MS, () => end([]))
        }),
    ),
  )
  return new Set(answers.flat())
}
