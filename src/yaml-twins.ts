/**
 * Keys that stand twice in a YAML map. The library compares each key with all
 * before it: minutes, where a map has 60,000. Read with `uniqueKeys: false`, and
 * ask here.
 */
import { type Document, isScalar, type Scalar, visit } from 'yaml'

/** @returns of each two keys that are alike the later, in reading order */
export function findTwins(document: Document): Scalar[] {
  const twins: Scalar[] = []
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>()
      for (const { key } of map.items) {
        if (!isScalar(key)) continue
        if (seen.has(key.value)) twins.push(key)
        seen.add(key.value)
      }
    },
  })
  return twins
}
