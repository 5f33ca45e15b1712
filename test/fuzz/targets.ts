/** Every parser that is fuzzed, by name. */
import type { FuzzTarget } from './target.ts'
import { ext4Target, fatTarget, partitionTarget } from './targets/disk.ts'
import {
  bootFileTarget,
  initramfsTarget,
  manifestTarget,
  netbootTextTarget,
  packetTarget,
  tarTarget,
} from './targets/netboot.ts'
import { gzipTarget, xzTarget, zipTarget } from './targets/packed.ts'
import {
  cardTextTarget,
  catalogueTarget,
  clusterKeyTarget,
  clusterTarget,
  cmdlineTarget,
  configTarget,
  keyTarget,
  lockTarget,
  nameTarget,
  overlayTarget,
  sidecarTarget,
  systemTextTarget,
  userDataTarget,
} from './targets/text.ts'

export const targets: readonly FuzzTarget[] = [
  partitionTarget,
  fatTarget,
  ext4Target,
  zipTarget,
  xzTarget,
  gzipTarget,
  clusterTarget,
  overlayTarget,
  lockTarget,
  catalogueTarget,
  sidecarTarget,
  nameTarget,
  cmdlineTarget,
  configTarget,
  userDataTarget,
  keyTarget,
  clusterKeyTarget,
  cardTextTarget,
  systemTextTarget,
  tarTarget,
  manifestTarget,
  initramfsTarget,
  bootFileTarget,
  packetTarget,
  netbootTextTarget,
]

export function findTarget(name: string): FuzzTarget {
  const target = targets.find((one) => one.name === name)
  if (target === undefined)
    throw new Error(`no target ${name}; there are ${targets.map((one) => one.name).join(', ')}`)
  return target
}
