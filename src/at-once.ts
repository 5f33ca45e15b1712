/**
 * As `Promise.all` over a list, with no more than `most` under way: the next one
 * starts as soon as any is done, so one that takes long holds nobody up.
 *
 * @returns results in the order of the list
 * @throws what the first one to fail threw; those under way go on, no more are started
 */
export async function mapAtOnce<T, R>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const queue = items.entries()
  let failed = false
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failed) return
      try {
        results[index] = await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker))
  return results
}
