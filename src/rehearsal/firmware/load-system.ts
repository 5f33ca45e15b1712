/**
 * The second half of a boot: with config.txt read, the firmware fetches device
 * tree, overlays, kernel command line, kernel and initial RAM disk.
 *
 * Source: Raspberry Pi documentation, "Boot options" (os_prefix, kernel,
 * arm_64bit, auto_initramfs, upstream_kernel) and "Boot folder contents".
 */
import { models } from '../../cluster/models.ts'
import type { Model } from '../../cluster/node.ts'
import type { Settings } from './config-txt.ts'
import type { Loading } from './loaders.ts'

/** First bytes of a flattened device tree. */
const DEVICE_TREE_MAGIC = 0xd00dfeed

export interface File {
  name: string
  bytes: Uint8Array
}

/** What the firmware hands to the kernel, as far as it was there. */
export interface LoadedSystem {
  settings: Settings
  cmdline?: File
  kernel?: File
  deviceTree?: File
  initramfs: File[]
}

export async function loadSystem(
  { board, requests, findings }: Loading,
  settings: Settings,
  model: Model,
): Promise<LoadedSystem> {
  const kernels = kernelNames(settings, board)
  const trees = treeNames(settings, model)
  let osPrefix = settings.get('os_prefix') ?? (settings.get('upstream_kernel') === '1' ? 'upstream/' : '')
  if (osPrefix !== '' && !((await anyThere(kernels)) && (await anyThere(trees)))) osPrefix = ''
  const named = (name: string) => (name.startsWith('/') ? name.slice(1) : osPrefix + name)
  async function anyThere(names: readonly string[]): Promise<boolean> {
    for (const name of names) if (await requests.probe(osPrefix + name)) return true
    return names.length === 0
  }

  const deviceTree = await loadDeviceTree()
  await requests.may(named('overlays/overlay_map.dtb'))
  const folder = named(settings.get('overlay_prefix') ?? 'overlays/')
  for (const overlay of settings.all('dtoverlay')) {
    const name = overlay.split(/[,:]/, 1)[0] ?? ''
    if (name !== '' && (await requests.may(`${folder}${name}.dtbo`)) === undefined)
      findings.note(requests.placeOf(`${folder}${name}.dtbo`), 'asked for by dtoverlay= and not found')
  }
  const cmdlineName = named(settings.get('cmdline') ?? 'cmdline.txt')
  const cmdline = await requests.must(cmdlineName, 'the kernel starts without root= and panics', 'cmdline')
  const kernel = await loadKernel()
  return {
    settings,
    ...(cmdline === undefined ? {} : { cmdline: { name: cmdlineName, bytes: cmdline } }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(deviceTree === undefined ? {} : { deviceTree }),
    initramfs: await loadInitramfs(kernel?.name),
  }

  async function loadDeviceTree(): Promise<File | undefined> {
    const found: File[] = []
    for (const name of trees) {
      const bytes = await requests.may(named(name))
      if (bytes === undefined) continue
      found.push({ name: named(name), bytes })
      if (bytes.length < 4 || Buffer.from(bytes).readUInt32BE(0) !== DEVICE_TREE_MAGIC)
        findings.fault(
          'firmware',
          requests.placeOf(named(name)),
          `it is no device tree (its ${bytes.length} bytes don't begin with d00dfeed)`,
          'Lay the trees out again: piimage netroot.',
        )
    }
    if (found[0] === undefined && trees[0] !== undefined)
      findings.fault(
        'firmware',
        requests.placeOf(named(trees[0])),
        `no device tree of a ${models[model].title} (${trees.join(', ')}): the kernel stays silent`,
        settings.get('device_tree') === undefined
          ? 'Does the image support this model? Take a newer one, then piimage netroot.'
          : 'Correct device_tree= in config.txt.',
      )
    for (const name of trees)
      if (found.length > 0 && !found.some((file) => file.name === named(name)))
        findings.note(requests.placeOf(named(name)), 'not found: boards of that revision would not start')
    return found[0]
  }

  async function loadKernel(): Promise<File | undefined> {
    // Looked for by every loader, for a rescue system.
    for (const name of ['recovery8.img', 'recovery.img']) await requests.may(name)
    for (const name of kernels) {
      const bytes = await requests.may(named(name))
      if (bytes !== undefined) return { name: named(name), bytes }
    }
    findings.fault(
      'kernel',
      requests.placeOf(named(kernels[0] as string)),
      `not found: no kernel for this board (${kernels.join(', ')})`,
      settings.get('kernel') === undefined
        ? 'Does the image support this model? Lay it out again: piimage netroot.'
        : 'Correct kernel= in config.txt.',
    )
    return undefined
  }

  async function loadInitramfs(kernelName: string | undefined): Promise<File[]> {
    const files: File[] = []
    const auto = settings.get('auto_initramfs') === '1' && settings.initramfs.length === 0
    const names = auto ? [initramfsOf(kernelName ?? '', board.kernels.bits64)] : settings.initramfs
    for (const name of names) {
      const why = auto
        ? 'auto_initramfs=1 asks for it, and the kernel starts without one'
        : 'config.txt asks for it, and the kernel starts without one'
      const bytes = await requests.must(named(name), why, 'kernel')
      if (bytes !== undefined) files.push({ name: named(name), bytes })
    }
    return files
  }
}

function kernelNames(settings: Settings, board: Loading['board']): readonly string[] {
  const named = settings.get('kernel')
  if (named !== undefined && named !== '') return [named]
  const choice = settings.get('arm_64bit')
  const bits64 = choice === undefined ? board.default64 : choice !== '0'
  return bits64 ? board.kernels.bits64 : board.kernels.bits32
}

function treeNames(settings: Settings, model: Model): readonly string[] {
  const named = settings.get('device_tree')
  if (named !== undefined) return named === '' ? [] : [named]
  const own = models[model].deviceTrees
  // With upstream_kernel=1 the names of Linux itself come first.
  if (settings.get('upstream_kernel') !== '1') return own
  return [
    ...own.map((name) =>
      name
        .replace(/^bcm2710-/, 'bcm2837-')
        .replace(/^bcm2709-/, 'bcm2836-')
        .replace(/^bcm2708-/, 'bcm2835-'),
    ),
    ...own,
  ]
}

/** `kernel8.img` → `initramfs8`; another name says nothing, and the board's own kernel decides. */
function initramfsOf(kernel: string, defaults: readonly string[]): string {
  const base = kernel.slice(kernel.lastIndexOf('/') + 1)
  const own = /^kernel(.*)\.img$/.exec(base) ?? /^kernel(.*)\.img$/.exec(defaults[0] ?? '')
  return `initramfs${own?.[1] ?? '8'}`
}
