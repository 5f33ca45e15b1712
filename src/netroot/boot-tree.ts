/**
 * What TFTP gives a node: its generation's boot partition, with the files that
 * the plan of its card changes. TFTP asks nobody who they are, so nothing that
 * only the system reads is among them, secret or not: it stands in the node's
 * root (./first-boot.ts).
 */

import { PAYLOAD } from '../boot/payload-paths.ts'
import type { BootPlan } from '../customise/plan-boot.ts'
import { RECEIPT_FILE } from '../customise/receipt.ts'
import { SAVED_CMDLINE } from '../systems/init-shell.ts'

export interface BootTree {
  /** Path → content, in place of the generation's. */
  files: Map<string, Uint8Array>
  /** Paths of the generation that this node doesn't get. */
  without: Set<string>
  /** A link to the tree itself, by name. */
  self?: string
}

/** For the running system, at the top of the partition. */
const ofTheSystem = new Set([
  'user-data',
  'meta-data',
  'network-config',
  'vendor-data',
  'device-init.yaml',
  'userconf',
  'userconf.txt',
  'custom.toml',
  'firstrun.sh',
  'wpa_supplicant.conf',
  'ssh',
  'ssh.txt',
  SAVED_CMDLINE,
  RECEIPT_FILE,
])

const isOfTheSystem = (path: string): boolean =>
  ofTheSystem.has(path.toLowerCase()) || path.startsWith(`${PAYLOAD}/`)

/** @param options.isUsb newer ClusterCTRL looks for the files in the folder `firmware` of a node's boot folder */
export function planBootTree(
  plan: BootPlan,
  texts: { cmdline: string; config: string },
  { isUsb = false }: { isUsb?: boolean } = {},
): BootTree {
  const files = new Map<string, Uint8Array>()
  const without = new Set(ofTheSystem)
  for (const { path, after } of plan.files) {
    if (isOfTheSystem(path)) continue
    if (after === null) without.add(path)
    else files.set(path, after)
  }
  const encoder = new TextEncoder()
  files.set('cmdline.txt', encoder.encode(texts.cmdline))
  files.set('config.txt', encoder.encode(texts.config))
  return { files, without, self: isUsb ? 'firmware' : undefined }
}

/**
 * No card is in the slot: without this the firmware's driver asks for one every
 * second. At the top, where lines count on every model.
 */
export const netbootConfig = (config: string): string =>
  `# Written by piimage: this node has no card.\ndtparam=sd_poll_once=on\n${config}`
