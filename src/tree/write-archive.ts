/** A TarWriter whose archive goes to a stream. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { TarWriter } from './tar-writer.ts'

/**
 * @param out is not ended
 * @throws what `fill` throws, or writing to `out`
 */
export async function writeArchive(out: Writable, fill: (writer: TarWriter) => Promise<void>): Promise<void> {
  const writer = new TarWriter()
  const pump = async () => {
    for await (const chunk of writer.chunks()) if (!out.write(chunk)) await once(out, 'drain')
  }
  let failure: unknown
  const failed = (error: unknown) => {
    failure ??= error
    writer.destroy(error as Error)
  }
  await Promise.all([fill(writer).then(() => writer.finish(), failed), pump().catch(failed)])
  if (failure !== undefined) throw failure
}
