/** Which node goes on which drive: `--node A --node B DRIVE DRIVE`, in order, or `--node A=DRIVE`. */
import { UsageError } from '../errors.ts'

export interface Pair {
  node: string
  drive: string
}

/** @throws {UsageError} the two lists don't match, or something is named twice */
export function pairNodesWithDrives(nodes: readonly string[], drives: readonly string[]): Pair[] {
  const left = [...drives]
  const pairs = nodes.map((word) => {
    const at = word.indexOf('=')
    const node = at < 0 ? word : word.slice(0, at)
    const drive = at < 0 ? left.shift() : word.slice(at + 1)
    if (node === '' || drive === undefined || drive === '') {
      throw new UsageError(`no drive for node "${node}"`, {
        hint: `Name one: piimage flash --node ${node || 'NODE'} /dev/sdX (piimage drives lists them)`,
      })
    }
    return { node, drive }
  })
  if (left.length > 0) {
    throw new UsageError(`no node for drive ${left[0]}`, { hint: `Say which: --node NAME=${left[0]}` })
  }
  for (const what of ['node', 'drive'] as const) {
    const twice = pairs.find(
      (pair, index) => pairs.findIndex((other) => other[what] === pair[what]) !== index,
    )
    if (twice !== undefined) throw new UsageError(`${what} ${twice[what]} is named twice`)
  }
  return pairs
}
