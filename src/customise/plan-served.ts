/** Node + overlays + image → the node as a server gives it: what a card's plan is for a card. */
import { type BootFiles, listTree } from '../boot/boot-files.ts'
import { PAYLOAD } from '../boot/payload-paths.ts'
import { secretsOf } from '../node/state.ts'
import { renderServed, type ServedSystem } from '../systems/render.ts'
import { planState, type StateRequest } from './node-state.ts'
import { type Earlier, RECEIPT_FILE } from './receipt.ts'

export interface ServedPlan extends ServedSystem {
  /** Files of the image's boot partition that only its running system reads: TFTP asks nobody who they are. */
  withheld: readonly string[]
  secrets: string[]
}

/**
 * @param rootInterface the one that the root comes over: its address is the kernel's business from the start
 * @throws as planState and renderServed
 */
export async function planServed(
  request: StateRequest,
  rootInterface: string | undefined,
): Promise<ServedPlan> {
  const { state, image, earlier } = await planState(request)
  const network = state.facts.network?.filter(({ name }) => name !== rootInterface)
  const system = await renderServed({ ...state, facts: { ...state.facts, network } }, image)
  const { systemFiles } = image.family.served
  const { added, changed } = await leftByEarlierPlan(request.boot, image.boot, earlier)
  for (const path of systemFiles) changed.delete(path)
  return {
    ...system,
    bootFiles: new Map([...changed, ...system.bootFiles]),
    withheld: [...systemFiles, ...added],
    secrets: secretsOf(state),
  }
}

/** An image that piimage customised before is taken as it was shipped. */
async function leftByEarlierPlan(
  boot: BootFiles,
  shipped: BootFiles,
  { stock }: Earlier,
): Promise<{ added: string[]; changed: Map<string, Uint8Array> }> {
  const added = await listTree(boot, PAYLOAD)
  const changed = new Map<string, Uint8Array>()
  for (const path of [RECEIPT_FILE, ...Object.keys(stock)]) {
    const content = await shipped.read(path)
    if (content !== undefined) changed.set(path, content)
    else if ((await boot.read(path)) !== undefined) added.push(path)
  }
  return { added, changed }
}
