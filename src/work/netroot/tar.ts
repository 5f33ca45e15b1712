/** `piimage netroot --node N --tar FILE`: one node's trees, for a server that piimage does not run on. */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Writable } from 'node:stream'
import type { Context } from '../../commands/command.ts'
import { UsageError } from '../../errors.ts'
import { writeNodeTar } from '../../netroot/node-tar.ts'
import type { NetrootPlan } from '../../netroot/plan.ts'
import type { Task } from '../../progress.ts'
import type { NetrootImages } from './images.ts'

/** @throws {UsageError} not exactly one node */
export async function writeTarFile(
  tar: string,
  { nodes }: NetrootPlan,
  images: NetrootImages,
  { world, output }: Context,
  task: Task,
): Promise<object> {
  const [node, ...more] = nodes
  if (node === undefined || more.length > 0)
    throw new UsageError('an archive holds one node', { hint: 'Name it: --node NAME --tar FILE' })
  if (tar === '-' && output.json)
    throw new UsageError('stdout cannot hold an archive and --json', { hint: 'Name a file: --tar FILE' })
  const source = await images.verified(node.record.image)
  if ('path' in source)
    throw new UsageError(`${node.record.image} is an archive already`, {
      hint: 'Lay it out: piimage netroot',
    })
  if (tar === '-') {
    if (!(world.stdout instanceof Writable)) throw new Error('stdout is no stream')
    await writeNodeTar(source, node, world.stdout, task)
    return { node: node.record.node }
  }
  const path = resolve(world.cwd, tar)
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
  const { name, ip, rootFolder, tftpNames } = node.served
  output.print(`${path}: the trees of ${name}; root/ holds its secrets`)
  output.note(
    `Unpack as root: root/ to ${rootFolder}, where its command line looks for it, exported to ${ip};`,
  )
  output.note(`boot/ to the TFTP server's folder ${tftpNames[0] ?? 'for its serial number'}.`)
  return { node: name, tar: path }
}
