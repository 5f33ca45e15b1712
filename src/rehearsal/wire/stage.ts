/**
 * Runs the rehearsal of one node in a process of its own, in a network
 * namespace of its own, with a tap on the cluster's wire.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ServedCluster, ServedNode } from '../../netroot/served.ts'
import { ownProgram } from '../../own-program.ts'
import type { Rehearsed } from '../rehearse-node.ts'
import { openTap } from './tap.ts'
import { missingTool } from './tools.ts'

/** What the process is told. */
export interface StageTask {
  served: ServedCluster
  node: ServedNode
  mac: string
}

/** What it says. */
export type StageAnswer = 'ready' | { rehearsed: Rehearsed } | { failed: string }

/** @param slot which of those that run at a time */
export async function rehearseOnWire(task: StageTask, slot: number, signal: AbortSignal): Promise<Rehearsed> {
  signal.throwIfAborted()
  const program = fileURLToPath(new URL(`./stage-process${extname(import.meta.url)}`, import.meta.url))
  const child = spawn('unshare', ['--net', ...ownProgram(program)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const stop = () => void child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000)
  })
  const answers = listen(child, () => complaint)
  try {
    if ((await answers()) !== 'ready') throw new Error('the stage spoke before it was ready')
    const tap = await openTap(task.served.server.interface, slot, task.mac, child.pid as number)
    try {
      child.send(task)
      const answer = await answers()
      if (answer === 'ready') throw new Error('the stage is ready twice')
      if ('failed' in answer) throw new Error(answer.failed)
      return answer.rehearsed
    } finally {
      await tap.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** @returns gives the process's next message, or throws when it is gone */
function listen(child: ChildProcess, complaint: () => string): () => Promise<StageAnswer> {
  const gone = new Promise<never>((_, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? missingTool('unshare') : error),
    )
    child.once('exit', (status, killedBy) =>
      reject(new Error(`the stage ended with ${status ?? killedBy}: ${complaint()}`)),
    )
  })
  gone.catch(() => {})
  return async () => {
    const [message] = (await Promise.race([once(child, 'message'), gone])) as [StageAnswer]
    return message
  }
}
