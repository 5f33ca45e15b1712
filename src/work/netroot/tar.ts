/** One node's trees as a tar archive. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { UsageError } from '../../errors.ts'
import { writeNodeTar } from '../../netroot/node-tar.ts'
import type { NetrootPlan } from '../../netroot/plan.ts'
import { type Caller, taskOf } from '../caller.ts'
import type { NetrootImages } from './images.ts'

export interface NodeArchive {
  node: string
  /** Absolute; undefined: a stream. */
  tar?: string
  /** Where root/ belongs on the server, and whom it is exported to. */
  rootFolder: string
  ip: string
  /** Where volume/ belongs, exported to the same; undefined: the node has none. */
  volumeFolder?: string
  /** Names of boot/ in the TFTP server's folder. */
  tftpNames: string[]
}

/**
 * @param to a file, or an open stream, which is left open
 * @throws {UsageError} not exactly one node
 */
export async function writeTarFile(
  to: string | Writable,
  { nodes }: NetrootPlan,
  images: NetrootImages,
  caller: Caller,
): Promise<NodeArchive> {
  const [node, ...more] = nodes
  if (node === undefined || more.length > 0)
    throw new UsageError('an archive holds one node', { hint: 'Name it: --node NAME --tar FILE' })
  const source = await images.verified(node.record.image)
  if ('path' in source)
    throw new UsageError(`${node.record.image} is an archive already`, {
      hint: 'Lay it out: piimage netroot',
    })
  const { name, ip, rootFolder, tftpNames, volumeFolder } = node.served
  const made = { node: name, rootFolder, ip, tftpNames, volumeFolder }
  const task = taskOf(caller)
  if (typeof to !== 'string') {
    await writeNodeTar(source, node, to, task)
    return made
  }
  const path = resolve(caller.cwd, to)
  const part = `${path}.part`
  try {
    // It holds the node's host key.
    const file = createWriteStream(part, { mode: 0o600 })
    await once(file, 'open')
    await writeNodeTar(source, node, file, task)
    file.end()
    await once(file, 'close')
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  return { ...made, tar: path }
}
