/**
 * What TFTP gives a node: its generation's boot partition, with the node's own
 * files beside the kernel. TFTP asks nobody who they are, so nothing that only
 * the system reads is among them, secret or not: it stands in the node's root.
 */
import type { ServedPlan } from '../customise/plan-served.ts'

export interface BootTree {
  /** Path → content, in place of the generation's. */
  files: Map<string, Uint8Array>
  /** Path of the kernel's command line. */
  line: string
  /** Paths of the generation that this node doesn't get, in lower case. */
  without: Set<string>
  /** A link to the tree itself, by name. */
  self?: string
}

/** @param options.isUsb newer ClusterCTRL looks for the files in the folder `firmware` of a node's boot folder */
export function planBootTree(
  { bootFiles, withheld, line }: Pick<ServedPlan, 'bootFiles' | 'withheld' | 'line'>,
  texts: { cmdline: string; config: string },
  { isUsb = false }: { isUsb?: boolean } = {},
): BootTree {
  const encoder = new TextEncoder()
  const files = new Map(bootFiles)
  files.set(line, encoder.encode(texts.cmdline))
  files.set('config.txt', encoder.encode(texts.config))
  const without = new Set(withheld.map((path) => path.toLowerCase()))
  return { files, without, line, self: isUsb ? 'firmware' : undefined }
}

/**
 * No card is in the slot: without this the firmware's driver asks for one every
 * second. At the top, where lines count on every model.
 */
export const netbootConfig = (config: string): string =>
  `# Written by piimage: this node has no card.\ndtparam=sd_poll_once=on\n${config}`
