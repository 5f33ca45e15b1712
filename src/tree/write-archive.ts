/** A TarWriter whose archive goes to a stream. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { TarWriter } from './tar-writer.ts'

/**
 * @param out is not ended
 * @throws what `fill` throws, or what `out` failed with; EPIPE when it was closed meanwhile
 */
export async function writeArchive(out: Writable, fill: (writer: TarWriter) => Promise<void>): Promise<void> {
  const writer = new TarWriter()
  const stopped = new AbortController()
  let failure: unknown
  const failed = (error: unknown) => {
    if (stopped.signal.aborted) return
    failure = error
    stopped.abort()
    writer.destroy(error as Error)
  }
  const closed = () => failed(Object.assign(new Error('the archive’s reader has gone'), { code: 'EPIPE' }))
  const pump = async () => {
    for await (const chunk of writer.chunks())
      if (!out.write(chunk)) await once(out, 'drain', { signal: stopped.signal })
  }
  out.on('error', failed).on('close', closed)
  try {
    await Promise.all([
      fill(writer)
        .then(() => writer.finish())
        .catch(failed),
      pump().catch(failed),
    ])
  } finally {
    out.off('error', failed).off('close', closed)
  }
  if (failure !== undefined) throw failure
}
