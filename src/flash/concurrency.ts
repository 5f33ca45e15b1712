/** Work on items in order, a few at a time: the queue of requests a drive is given. */

/**
 * Run `work` over `items` with `count` workers. Each takes the next item when it is
 * done with its last; `worker` (0 … count-1) lets `work` own a buffer per worker.
 * After a failure nothing new is started; what is under way ends first, so that
 * no request is left using a buffer or a file afterwards. Items that are still
 * to come then are not waited for.
 * @throws the first failure, of `work` or of `items`
 */
export async function inParallel<Item>(
  count: number,
  items: Iterable<Item> | AsyncIterable<Item>,
  work: (item: Item, worker: number) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failure: { error: unknown } | undefined
  let stop = (): void => {}
  const stopped = new Promise<{ done: true; value: undefined }>((resolve) => {
    stop = () => resolve({ done: true, value: undefined })
  })
  const fail = (error: unknown) => {
    failure ??= { error }
    stop()
  }
  const runWorker = async (worker: number) => {
    while (failure === undefined) {
      try {
        const next = await Promise.race([iterator.next(), stopped])
        if (next.done) return
        await work(next.value, worker)
      } catch (error) {
        fail(error)
      }
    }
  }
  await Promise.all(Array.from({ length: count }, (_, worker) => runWorker(worker)))
  if (failure !== undefined) throw failure.error
}

/** `promise`, or a rejection with the signal's reason as soon as it aborts. */
export async function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  // Once stopped, what becomes of the promise is nobody's concern any more.
  promise.catch(() => {})
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
