/**
 * Judges what the firmware loaded, and whether it fits the node's root: kernel,
 * its modules and its initial RAM disk must be of one release.
 */
import { boards } from '../../cluster/boards.ts'
import type { Model } from '../../cluster/node.ts'
import type { Findings } from '../fault.ts'
import type { LoadedSystem } from '../firmware/load-system.ts'
import { type Initramfs, readInitramfs } from './initramfs.ts'
import { type KernelImage, readKernelImage } from './kernel-image.ts'
import type { RootTree } from './root-tree.ts'

const MODULE = /^(?:usr\/)?lib\/modules\/([^/]+)\//

export interface JudgedKernel extends KernelImage {
  /** Who mounts the root: the kernel itself, or a program of the initial RAM disk. */
  mounter: 'kernel' | 'klibc' | 'mount.nfs'
}

export interface KernelJudging {
  model: Model
  root: RootTree
  /** A file of the boot partition, as a person finds it. */
  placeOf(name: string): string
  findings: Findings
  /** How to get whole files back. */
  again: string
  /** Modules without which the initial RAM disk finds no root, where the kernel hasn't them built in. */
  modules: readonly string[]
}

export async function judgeKernel(system: LoadedSystem, judging: KernelJudging): Promise<JudgedKernel> {
  const { model, placeOf, findings, again } = judging
  const disks = system.initramfs.map((file) => ({ ...readInitramfs(file.bytes), place: placeOf(file.name) }))
  const names = disks.flatMap((disk) => disk.names)
  const mounter =
    disks.length === 0
      ? 'kernel'
      : names.some((name) => /(^|\/)mount\.nfs$/.test(name))
        ? 'mount.nfs'
        : 'klibc'
  if (system.kernel === undefined) return { mounter }
  const place = placeOf(system.kernel.name)
  const kernel = readKernelImage(system.kernel.bytes)
  if (kernel.problem !== undefined)
    findings.fault('kernel', place, `the kernel is not whole: ${kernel.problem}`, again)
  const { cpu, title } = boards[model]
  if (kernel.arch === 'arm64' && cpu !== 'armv8')
    findings.fault(
      'kernel',
      place,
      `a 64-bit kernel, and the ${title} has a 32-bit CPU`,
      'Take a 32-bit (armhf) image for this node.',
    )
  if (kernel.release === undefined) {
    if (kernel.problem === undefined)
      findings.note(place, 'its release can’t be told, so its modules were not looked for')
  } else await judgeModules(kernel.release, place, judging)
  for (const disk of disks) await judgeInitramfs(disk, kernel.release, disk.place, judging)
  return { ...kernel, mounter }
}

async function judgeModules(
  release: string,
  place: string,
  { root, findings, again }: KernelJudging,
): Promise<void> {
  const releases = await root.list('/lib/modules')
  const files = await root.list(`/lib/modules/${release}`)
  if (files.length === 0)
    findings.fault(
      'kernel',
      place,
      `the kernel is ${release}, and ${root.folder}/lib/modules has ${releases.length === 0 ? 'nothing' : `only ${releases.join(', ')}`}`,
      `Boot and root are of two systems. ${again}`,
    )
}

async function judgeInitramfs(
  { names, problem, unread }: Initramfs,
  release: string | undefined,
  place: string,
  { root, findings, again, modules }: KernelJudging,
): Promise<void> {
  if (problem !== undefined)
    findings.fault('kernel', place, `the initial RAM disk is not whole: ${problem}`, again)
  if (unread !== undefined) findings.note(place, `not looked into: ${unread}`)
  const releases = new Set(names.flatMap((name) => MODULE.exec(name)?.[1] ?? []))
  if (release !== undefined && releases.size > 0 && !releases.has(release)) {
    findings.fault(
      'kernel',
      place,
      `the initial RAM disk has modules of ${[...releases].join(', ')}; the kernel is ${release}`,
      'Each kernel has its own: initramfs_2712 belongs to kernel_2712.img, initramfs8 to kernel8.img. Correct initramfs in config.txt.',
    )
    return
  }
  if (problem !== undefined || unread !== undefined || release === undefined || releases.size === 0) return
  const hasModule = (name: string) =>
    names.some(
      (file) => MODULE.exec(file)?.[1] === release && new RegExp(`/${name}\\.ko(\\.\\w+)?$`).test(file),
    )
  const builtin = (await root.read(`/lib/modules/${release}/modules.builtin`))?.toString('latin1') ?? ''
  for (const name of modules)
    if (!hasModule(name) && !builtin.includes(`/${name}.ko`))
      findings.fault(
        'kernel',
        place,
        `the initial RAM disk has no ${name}.ko, and the kernel ${release} has it not built in`,
        'Make it with MODULES=netboot or MODULES=most in /etc/initramfs-tools/initramfs.conf.',
      )
}
