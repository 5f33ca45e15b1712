/** sha256 of a whole file, on a thread of its own, so that writing cards goes on meanwhile. */
import { Worker } from 'node:worker_threads'
import { requirePlainFile } from './input-file.ts'

/** The worker's whole program: small enough to need no file of its own. */
const program = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { createHash } = require('node:crypto')
  const { openSync, readSync, closeSync } = require('node:fs')
  const hash = createHash('sha256')
  const bytes = Buffer.allocUnsafe(1024 * 1024)
  const fd = openSync(workerData, 'r')
  for (;;) {
    const count = readSync(fd, bytes, 0, bytes.length, null)
    if (count === 0) break
    hash.update(bytes.subarray(0, count))
  }
  closeSync(fd)
  parentPort.postMessage(hash.digest('hex'))
`

/**
 * @returns lower-case hex
 * @throws what open(2) or read(2) say; {UnfitFileError} no plain file; the signal's reason when stopped
 */
export async function digestFile(path: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted()
  requirePlainFile(path)
  const worker = new Worker(program, { eval: true, workerData: path })
  return new Promise<string>((resolve, reject) => {
    const stop = () => {
      void worker.terminate()
      reject(signal.reason)
    }
    signal.addEventListener('abort', stop, { once: true })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => signal.removeEventListener('abort', stop))
  })
}
