/**
 * Port mapper and mount protocol: which port a service has, what is exported to
 * whom, and a folder's file handle.
 *
 * Source: RFC 1833 §3 (port mapper), RFC 1813 appendix I (mount version 3).
 */
import { openRpc, RpcProblem } from './rpc.ts'
import { text, uint32 } from './xdr.ts'

const PORTMAPPER = { port: 111, program: 100000, version: 2 }
export const MOUNT = { program: 100005, version: 3 }
export const NFS = { program: 100003, version: 3 }
const TCP = 6

/** What mount says about a folder it doesn't hand out. */
export const MOUNT_STATUS: Record<number, string> = {
  1: 'not allowed',
  2: 'no such folder',
  5: 'input/output error',
  13: 'not exported to this address',
  20: 'it is not a folder',
  10004: 'not supported',
}

/**
 * @returns the TCP port of a service; undefined: it isn't registered
 * @throws {RpcProblem} no port mapper
 */
export async function askPort(
  address: string,
  { program, version }: { program: number; version: number },
): Promise<number | undefined> {
  const rpc = await openRpc({ address, ...PORTMAPPER })
  try {
    const port = (await rpc.call(3, Buffer.concat([program, version, TCP, 0].map(uint32)))).uint32()
    return port === 0 ? undefined : port
  } finally {
    rpc.close()
  }
}

export type Mounted = { handle: Uint8Array } | { status: number }

export async function mountFolder(address: string, port: number, folder: string): Promise<Mounted> {
  const rpc = await openRpc({ address, port, ...MOUNT })
  try {
    const reply = await rpc.call(1, text(folder))
    const status = reply.uint32()
    if (status !== 0) return { status }
    const handle = Buffer.from(reply.opaque())
    await rpc.call(3, text(folder))
    return { handle }
  } finally {
    rpc.close()
  }
}

export interface ListedExport {
  folder: string
  /** Addresses, networks or names; none: everybody. */
  clients: string[]
}

/** @returns what the server says it exports; undefined where it doesn't say */
export async function listExports(address: string, port: number): Promise<ListedExport[] | undefined> {
  const rpc = await openRpc({ address, port, ...MOUNT })
  try {
    const reply = await rpc.call(5)
    const exports: ListedExport[] = []
    while (reply.uint32() === 1) {
      const entry: ListedExport = { folder: reply.text(), clients: [] }
      while (reply.uint32() === 1) entry.clients.push(reply.text())
      exports.push(entry)
    }
    return exports
  } catch (error) {
    if (error instanceof RpcProblem) return undefined
    throw error
  } finally {
    rpc.close()
  }
}
