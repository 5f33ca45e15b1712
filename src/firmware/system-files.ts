/**
 * Settings + which files are there → what the firmware hands to the kernel:
 * kernel, device tree, overlays, initial RAM disk and the kernel's command line,
 * each with the line of config.txt that asks for it.
 *
 * Source: Raspberry Pi documentation, "Boot options" (os_prefix, overlay_prefix,
 * kernel, arm_64bit, auto_initramfs, upstream_kernel, device_tree) and "Boot
 * folder contents".
 */

import { type Board, boards } from '../cluster/boards.ts'
import type { Model } from '../cluster/node.ts'
import type { SettingLine, Settings } from './config-txt.ts'

export interface FileChoice {
  /** From the boot partition's root, prefix included. */
  path: string
  /** Other names the firmware looks for, in order; `path` is one of them. */
  candidates: string[]
  there: boolean
  /** undefined: the firmware's own default. */
  because?: SettingLine
}

export interface SystemFiles {
  /** In effect; '' where none is set or the one that is set was ignored. */
  osPrefix: string
  /** Set, and ignored because kernel and device tree are not both there. */
  ignoredPrefix?: string
  kernel: FileChoice
  /** undefined: `device_tree=` turns it off. */
  deviceTree?: FileChoice
  /** All trees of this model's board revisions that are there. */
  trees: string[]
  /** Those that `dtoverlay=` names; where their folder lies depends on the prefix. */
  overlays: FileChoice[]
  overlayFolder: string
  cmdline: FileChoice
  initramfs: FileChoice[]
}

/** Whether a file is there. `try` asks for a file that the firmware only looks at. */
export interface Listing {
  has(path: string): Promise<boolean>
  try(path: string): Promise<boolean>
}

export async function chooseSystemFiles(
  settings: Settings,
  model: Model,
  listing: Listing,
): Promise<SystemFiles> {
  const kernels = kernelNames(settings, boards[model])
  const trees = treeNames(settings, model)
  const wanted = settings.get('os_prefix') ?? (settings.get('upstream_kernel') === '1' ? 'upstream/' : '')
  const named = (prefix: string, name: string) => (name.startsWith('/') ? name.slice(1) : prefix + name)
  const anyThere = async (names: readonly string[]) => {
    for (const name of names) if (await listing.try(named(wanted, name))) return true
    return names.length === 0
  }
  const osPrefix = wanted !== '' && (await anyThere(kernels)) && (await anyThere(trees)) ? wanted : ''
  const inPrefix = (name: string) => named(osPrefix, name)
  const choose = async (names: readonly string[], because?: SettingLine): Promise<FileChoice> => {
    const candidates = names.map(inPrefix)
    for (const path of candidates)
      if (await listing.has(path)) return { path, candidates, there: true, because }
    return { path: candidates[0] ?? '', candidates, there: false, because }
  }

  const found: string[] = []
  for (const path of trees.map(inPrefix)) if (await listing.has(path)) found.push(path)
  const deviceTree: FileChoice | undefined =
    trees.length === 0
      ? undefined
      : {
          path: found[0] ?? inPrefix(trees[0] as string),
          candidates: trees.map(inPrefix),
          there: found.length > 0,
          because: settings.where('device_tree') ?? settings.where('upstream_kernel'),
        }
  const overlayFolder = await chooseOverlayFolder()
  const overlays: FileChoice[] = []
  for (const because of settings.lines.filter(({ key }) => key === 'dtoverlay')) {
    const name = because.value.split(/[,:]/, 1)[0] ?? ''
    const path = `${overlayFolder}${name}.dtbo`
    if (name !== '') overlays.push({ path, candidates: [path], there: await listing.has(path), because })
  }
  const cmdline = await choose([settings.get('cmdline') ?? 'cmdline.txt'], settings.where('cmdline'))
  const kernel = await choose(kernels, settings.where('kernel') ?? settings.where('arm_64bit'))
  return {
    osPrefix,
    ignoredPrefix: wanted === osPrefix ? undefined : wanted,
    kernel,
    deviceTree,
    trees: found,
    overlays,
    overlayFolder,
    cmdline,
    initramfs: await chooseInitramfs(),
  }

  /** Shared between all systems of a card, unless the prefix has its own. */
  async function chooseOverlayFolder(): Promise<string> {
    const folder = settings.get('overlay_prefix') ?? 'overlays/'
    const own = inPrefix(folder)
    return osPrefix === '' || (await listing.try(`${own}README`)) ? own : named('', folder)
  }

  async function chooseInitramfs(): Promise<FileChoice[]> {
    const lines = settings.lines.filter(({ key }) => key === 'initramfs' || key === 'ramfsfile')
    const files: FileChoice[] = []
    for (const because of lines)
      for (const name of because.value.split(',').filter((part) => part !== ''))
        files.push(await choose([name], because))
    if (lines.length > 0 || settings.get('auto_initramfs') !== '1') return files
    return [
      await choose(
        [initramfsOf(kernel.path, boards[model].kernels.bits64)],
        settings.where('auto_initramfs'),
      ),
    ]
  }
}

function kernelNames(settings: Settings, board: Board): readonly string[] {
  const named = settings.get('kernel')
  if (named !== undefined && named !== '') return [named]
  const choice = settings.get('arm_64bit')
  const bits64 = choice === undefined ? board.default64 : choice !== '0'
  return bits64 ? board.kernels.bits64 : board.kernels.bits32
}

function treeNames(settings: Settings, model: Model): readonly string[] {
  const named = settings.get('device_tree')
  if (named !== undefined) return named === '' ? [] : [named]
  const own = boards[model].deviceTrees
  // With upstream_kernel=1 the names of Linux itself come first.
  if (settings.get('upstream_kernel') !== '1') return own
  return [...own.flatMap(upstreamNames), ...own]
}

/** What Linux itself calls a tree of the Raspberry Pi's own kernel; compact modules stand on a board there. */
export function upstreamNames(name: string): string[] {
  const renamed = name
    .replace(/^bcm2710-/, 'bcm2837-')
    .replace(/^bcm2709-/, 'bcm2836-')
    .replace(/^bcm2708-/, 'bcm2835-')
  const onBoard = renamed.replace(/-cm3\.dtb$/, '-cm3-io3.dtb').replace(/-cm4\.dtb$/, '-cm4-io.dtb')
  return [...new Set([renamed, onBoard])].filter((other) => other !== name)
}

/** `kernel8.img` → `initramfs8`; another name says nothing, and the board's own kernel decides. */
function initramfsOf(kernel: string, defaults: readonly string[]): string {
  const base = kernel.slice(kernel.lastIndexOf('/') + 1)
  const own = /^kernel(.*)\.img$/.exec(base) ?? /^kernel(.*)\.img$/.exec(defaults[0] ?? '')
  return `initramfs${own?.[1] ?? '8'}`
}
