/** A node and its image → its state: what both media are planned from. */
import { type BootFiles, readText } from '../boot/boot-files.ts'
import { parseCmdline } from '../boot/cmdline-txt.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { FormatError } from '../errors.ts'
import { findCmdline, withCmdlineAt } from '../firmware/boot-selection.ts'
import type { FileChoice } from '../firmware/system-files.ts'
import { buildState } from '../node/build-state.ts'
import type { GivenFiles, NodeState } from '../node/state.ts'
import type { RootFacts } from '../root/root-facts.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import { detectSystem } from '../systems/detect.ts'
import type { OsFamily, SystemImage } from '../systems/family.ts'
import { makeArtifact } from './artifacts.ts'
import { asShipped } from './as-shipped.ts'
import { checkFirmwareFiles } from './firmware-check.ts'
import { fitToRoot } from './fit-root.ts'
import { refuseOtherThanLocked } from './locked-as.ts'
import type { Overlay } from './overlay.ts'
import { type Earlier, readEarlier } from './receipt.ts'
import { resolveOverlays } from './resolve-overlays.ts'

export interface StateRequest {
  cluster: Cluster
  node: Node
  image: Pick<LockedImage, 'key' | 'version' | 'arch'> &
    Partial<Pick<LockedImage, 'os' | 'release' | 'download'>>
  /** The boot partition as it lies there. */
  boot: BootFiles
  overlays: ReadonlyMap<string, Overlay>
  /** undefined: nothing is derived; a node makes its own host key, as images do. */
  keys: NodeKeys | undefined
  /** Files given in place of the image's own. */
  extras?: GivenFiles
  /** For everybody: see NodeState. */
  published?: boolean
  /** `--os`; else the node's `os:`, else what is found. */
  os?: string
  /** What its root says; undefined: it can't be read, or is not here. */
  root?: RootFacts
  /** The systems that are looked for; default: all that there are. */
  families?: readonly OsFamily[]
}

export interface PlannedState {
  state: NodeState
  image: SystemImage
  earlier: Earlier
}

/**
 * @throws {UsageError} an overlay or a value that does not fit the node or its image
 * @throws {FormatError} an unknown system, or a file on the partition that cannot be read
 */
export async function planState(request: StateRequest): Promise<PlannedState> {
  const { cluster, image, overlays, keys, extras, published, families, root } = request
  if (root !== undefined) await refuseOtherThanLocked(image, root)
  const node = root === undefined ? request.node : await fitToRoot(request.node, root)
  const earlier = await readEarlier(request.boot)
  const line = await findCmdline(request.boot, node.model, node)
  const boot = await asShipped(request.boot, earlier, line.path)
  const asked = request.os ?? node.os
  const { family, os } = await detectSystem(withCmdlineAt(boot, line.path), asked, earlier.system, families)
  const subject = { node, cluster, os, image }
  const state = buildState({
    node,
    cluster: cluster.name,
    image: image.key,
    overlays: await resolveOverlays(overlays, subject),
    hostKey: () => keys?.hostKey(node.name),
    makeArtifact: (name, overlay) => makeArtifact(name, overlay, subject, keys),
    given: extras,
    published,
  })
  await checkFirmwareFiles(state.config, boot, node.model)
  const kernel = await readKernel(boot, line)
  return {
    state,
    image: { family, os, boot, kernel, pastDay: image.download?.source.checked ?? '' },
    earlier,
  }
}

/** The line that the firmware of this board hands to the kernel. */
async function readKernel(boot: BootFiles, { path, because }: FileChoice): Promise<string[]> {
  const text = await readText(boot, path)
  if (text !== undefined) return parseCmdline(text)
  throw new FormatError(`the boot partition has no ${path}`, {
    hint:
      because === undefined
        ? 'Is it the boot partition of a Raspberry Pi image? Netboot archives and data cards have none.'
        : `${because.file}:${because.line} asks for it: ${because.key}=${because.value}.`,
  })
}
