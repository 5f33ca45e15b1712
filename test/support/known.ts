/** The same without the keys that are undefined, all the way down: an absent key and an undefined one mean the same. */
export function known<T>(value: T): T {
  if (Array.isArray(value)) return value.map(known) as T
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value
  const entries = Object.entries(value).filter(([, one]) => one !== undefined)
  return Object.fromEntries(entries.map(([key, one]) => [key, known(one)])) as T
}
