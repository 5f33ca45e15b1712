/** What a function pushes, as a stream to be pulled: it goes on when the next chunk is asked for. */

type Push = (bytes: Uint8Array) => Promise<void>

/**
 * @param produce is stopped through the signal it is given when nobody pulls any more
 * @returns chunks that are good until the next is asked for
 * @throws what `produce` throws
 */
export async function* pull(
  produce: (push: Push, signal: AbortSignal) => Promise<unknown>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stopped = new AbortController()
  let give: (bytes: Uint8Array) => void = () => {}
  let taken: () => void = () => {}
  const push: Push = (bytes) =>
    new Promise<void>((resolve) => {
      taken = resolve
      give(bytes)
    })
  const nextPush = () =>
    new Promise<Uint8Array>((resolve) => {
      give = resolve
    })
  let next = nextPush()
  const ended = produce(push, AbortSignal.any([signal, stopped.signal])).then(() => undefined)
  // Awaited below, maybe too late for Node.
  ended.catch(() => {})
  try {
    for (;;) {
      const chunk = await Promise.race([next, ended])
      if (chunk === undefined) return
      yield chunk
      next = nextPush()
      taken()
    }
  } finally {
    stopped.abort()
    taken()
    await ended.catch(() => {})
  }
}
