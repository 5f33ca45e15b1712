/** Work on items in order, a few at a time: the queue of requests a drive is given. */

/**
 * Run `work` over `items` in `count` lanes. Each lane takes the next item when
 * it is done with its last; `lane` (0 … count-1) lets `work` own a buffer per lane.
 * After a failure nothing new is started; what is under way ends first, so that
 * no request is left using a buffer or a file afterwards.
 * @throws the first failure
 */
export async function inLanes<Item>(
  count: number,
  items: Iterable<Item>,
  work: (item: Item, lane: number) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  let failure: { error: unknown } | undefined
  const runLane = async (lane: number) => {
    while (failure === undefined) {
      const next = iterator.next()
      if (next.done) return
      try {
        await work(next.value, lane)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: count }, (_, lane) => runLane(lane)))
  if (failure !== undefined) throw failure.error
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts. */
export async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
