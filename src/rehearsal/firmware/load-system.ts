/**
 * The second half of a boot: with config.txt read, the firmware fetches device
 * tree, overlays, kernel command line, kernel and initial RAM disk.
 */
import { boards } from '../../cluster/boards.ts'
import type { Model } from '../../cluster/node.ts'
import type { Settings } from '../../firmware/config-txt.ts'
import { chooseSystemFiles, type FileChoice, upstreamNames } from '../../firmware/system-files.ts'
import type { BootPhase } from '../fault.ts'
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
  { requests, findings, card }: Loading,
  settings: Settings,
  model: Model,
): Promise<LoadedSystem> {
  const fetched = new Map<string, Uint8Array>()
  const fetch = async (path: string) => {
    const bytes = fetched.get(path) ?? (await requests.may(path))
    if (bytes !== undefined) fetched.set(path, bytes)
    return bytes !== undefined
  }
  // Looked for by every loader, for a rescue system.
  for (const name of ['recovery8.img', 'recovery.img']) await requests.may(name)
  const chosen = await chooseSystemFiles(settings, model, { has: fetch, try: requests.probe })
  const overlayMap = `${chosen.overlayFolder}overlay_map.dtb`
  await fetch(overlayMap)

  const upstreamTree = chosen.deviceTree?.there === false ? await findUpstreamTree() : undefined
  judgeDeviceTree()
  const map = Buffer.from(fetched.get(overlayMap) ?? []).toString('latin1')
  for (const { path, there } of chosen.overlays) {
    // The map gives one name another file on each board.
    const name = path.slice(path.lastIndexOf('/') + 1, -'.dtbo'.length)
    if (there || map.includes(`${name}\0`)) continue
    const what = 'asked for by dtoverlay= and not found'
    if (card === true)
      findings.fault('firmware', requests.placeOf(path), what, 'Correct dtoverlay= in config.txt.')
    else findings.note(requests.placeOf(path), what)
  }
  if (!chosen.kernel.there)
    findings.fault(
      'kernel',
      requests.placeOf(chosen.kernel.path),
      `not found: no kernel for this board (${chosen.kernel.candidates.join(', ')})`,
      settings.get('kernel') === undefined
        ? `Does the image support this model? ${requests.layOut}`
        : 'Correct kernel= in config.txt.',
    )
  const why =
    settings.initramfs.length === 0
      ? 'auto_initramfs=1 asks for it, and the kernel starts without one'
      : 'config.txt asks for it, and the kernel starts without one'
  return {
    settings,
    cmdline: need(chosen.cmdline, 'the kernel starts without root= and panics', 'cmdline'),
    kernel: fileOf(chosen.kernel),
    deviceTree:
      upstreamTree !== undefined
        ? { name: upstreamTree, bytes: fetched.get(upstreamTree) as Uint8Array }
        : chosen.deviceTree && fileOf(chosen.deviceTree),
    initramfs: chosen.initramfs.flatMap((choice) => need(choice, why, 'kernel') ?? []),
  }

  function fileOf({ path }: FileChoice): File | undefined {
    const bytes = fetched.get(path)
    return bytes === undefined ? undefined : { name: path, bytes }
  }

  function need(choice: FileChoice, why: string, step: BootPhase): File | undefined {
    const file = fileOf(choice)
    if (file === undefined || file.bytes.length === 0)
      findings.fault(
        step,
        requests.placeOf(choice.path),
        `${file === undefined ? 'not found' : 'empty'}: ${why}`,
        requests.layOut,
      )
    return file
  }

  /** Systems that start from Linux's own names have the trees under those. */
  async function findUpstreamTree(): Promise<string | undefined> {
    if (settings.get('device_tree') !== undefined) return undefined
    for (const name of boards[model].deviceTrees.flatMap(upstreamNames))
      if (await fetch(chosen.osPrefix + name)) return chosen.osPrefix + name
    return undefined
  }

  function judgeDeviceTree(): void {
    const { deviceTree, trees } = chosen
    if (deviceTree === undefined) return
    for (const path of trees) {
      const bytes = fetched.get(path) as Uint8Array
      if (bytes.length < 4 || Buffer.from(bytes).readUInt32BE(0) !== DEVICE_TREE_MAGIC)
        findings.fault(
          'firmware',
          requests.placeOf(path),
          `it is not a device tree (its ${bytes.length} bytes don't begin with d00dfeed)`,
          requests.layOut,
        )
    }
    const upstream = upstreamTree
    if (!deviceTree.there && upstream !== undefined)
      findings.note(
        requests.placeOf(upstream),
        'the only tree of this board, under Linux’s own name: the firmware looks for it with upstream_kernel=1',
      )
    else if (!deviceTree.there)
      findings.fault(
        'firmware',
        requests.placeOf(deviceTree.path),
        `no device tree of a ${boards[model].title} (${deviceTree.candidates.join(', ')}): the kernel stays silent`,
        settings.get('device_tree') === undefined
          ? `Does the image support this model? ${requests.layOut}`
          : 'Correct device_tree= in config.txt.',
      )
    else
      for (const path of deviceTree.candidates)
        if (!trees.includes(path))
          findings.note(requests.placeOf(path), 'not found: boards of that revision would not start')
  }
}
