/**
 * /sys, /proc and /run of a machine that is not this one, laid out in a folder
 * as Linux lays them out: real device folders under sys/devices, links to them
 * in sys/class/block, partitions as subfolders, holders and slaves as links.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

export interface TreeDevice {
  name: string
  /** `major:minor` */
  number: string
  /** Bytes. */
  size: number
  /** Folder under sys/devices of the thing the block device belongs to. */
  at: string
  /** Small files: path relative to the device's folder (`../..` allowed) → content. */
  files?: Record<string, string>
  /** What udev knows: `ID_FS_LABEL` … */
  udev?: Record<string, string>
  holders?: string[]
  slaves?: string[]
  partitions?: TreePartition[]
}

export type TreePartition = Pick<TreeDevice, 'name' | 'number' | 'size' | 'udev' | 'holders'>

export interface Tree {
  devices: TreeDevice[]
  /** /proc/self/mountinfo */
  mountinfo?: string
  /** /proc/1/mountinfo; default: not readable */
  mountinfoOfInit?: string
  /** /proc/swaps, without its first line */
  swaps?: string
  /** File system id → kernel names of its members. */
  btrfs?: Record<string, string[]>
}

/** Build `tree` in `root`; relative links only, so the folder can lie anywhere. */
export function plantSysfs(root: string, tree: Tree): void {
  const put = (path: string, content: string) => {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  const link = (path: string, to: string) => {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    symlinkSync(relative(dirname(file), join(root, to)), file)
  }
  const plant = (folder: string, device: TreePartition) => {
    put(join(folder, 'dev'), `${device.number}\n`)
    put(join(folder, 'size'), `${device.size / 512}\n`)
    put(join(folder, 'ro'), '0\n')
    for (const holder of device.holders ?? [])
      link(join(folder, 'holders', holder), `sys/class/block/${holder}`)
    link(join('sys/class/block', device.name), folder)
    const udev = Object.entries(device.udev ?? {}).map(([name, value]) => `E:${name}=${value}\n`)
    if (udev.length > 0) put(`run/udev/data/b${device.number}`, `I:1\n${udev.join('')}`)
  }
  for (const device of tree.devices) {
    const folder = join('sys/devices', device.at, 'block', device.name)
    plant(folder, device)
    put(join(folder, 'queue/logical_block_size'), '512\n')
    for (const slave of device.slaves ?? []) link(join(folder, 'slaves', slave), `sys/class/block/${slave}`)
    for (const [name, content] of Object.entries(device.files ?? {})) put(join(folder, name), `${content}\n`)
    for (const [index, partition] of (device.partitions ?? []).entries()) {
      plant(join(folder, partition.name), partition)
      put(join(folder, partition.name, 'partition'), `${index + 1}\n`)
    }
  }
  put('proc/self/mountinfo', tree.mountinfo ?? '')
  if (tree.mountinfoOfInit !== undefined) put('proc/1/mountinfo', tree.mountinfoOfInit)
  put('proc/swaps', `Filename\tType\tSize\tUsed\tPriority\n${tree.swaps ?? ''}`)
  for (const [id, members] of Object.entries(tree.btrfs ?? {}))
    for (const name of members) link(`sys/fs/btrfs/${id}/devices/${name}`, `sys/class/block/${name}`)
}
