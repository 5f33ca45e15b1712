/** A module loader that counts which branches of the product's own code run. */
import { fileURLToPath } from 'node:url'
import { createInstrumenter } from 'istanbul-lib-instrument'

/** The part of node:module's `load` hook that is used here. */
type Load = (
  url: string,
  context: object,
  next: (url: string, context: object) => Promise<{ format: string; source?: unknown }>,
) => Promise<{ format: string; source?: unknown; shortCircuit?: boolean }>

const instrumenter = createInstrumenter({ esModules: true, compact: true, autoWrap: false })

export const load: Load = async (url, context, next) => {
  const loaded = await next(url, context)
  if (!/\/build\/src\/.*\.js$/.test(url) || loaded.source === undefined) return loaded
  const source = Buffer.from(loaded.source as Uint8Array).toString()
  return { ...loaded, source: instrumenter.instrumentSync(source, fileURLToPath(url)) }
}
