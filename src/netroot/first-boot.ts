/**
 * A card's boot plan in a node's root: everything that first boot needs, where
 * the image mounts its boot partition, so that only this node can read it.
 *
 * On a card something of the image starts `piimage/install.sh` from there. Here
 * the unit that picks up a first boot that was cut off is in the root already,
 * and it finds an installation that has not begun. Where cloud-init is the
 * starter, its seed lies there too and it may come first.
 */

import { PAYLOAD } from '../boot/payload-paths.ts'
import type { BootPlan } from '../customise/plan-boot.ts'
import { file, folder, link, type RootEdit } from './root-edit.ts'

const UNIT = 'piimage-firstboot.service'

/** Files of the boot partition that only the firmware reads. */
const ofTheFirmware = new Set(['cmdline.txt', 'config.txt'])

/** cloud-init's network settings: the root's interface is not its business. */
const NETWORK_SEED = 'network-config'

/**
 * @param texts cmdline.txt and config.txt as TFTP gives them, for programs that look
 */
export function firstBootEdits(
  { files, os }: BootPlan,
  texts: { cmdline: string; config: string },
): RootEdit[] {
  const boot = os.bootMount
  const edits: RootEdit[] = [
    file(`${boot}/cmdline.txt`, texts.cmdline),
    file(`${boot}/config.txt`, texts.config),
    folder(`${boot}/${PAYLOAD}`, 0o700),
    folder('/opt/piimage', 0o700),
  ]
  for (const { path, after } of files) {
    if (after === null || ofTheFirmware.has(path) || path === NETWORK_SEED) continue
    edits.push(file(`${boot}/${path}`, after, 0o600))
    if (path === `${PAYLOAD}/run.sh` || path === `${PAYLOAD}/lib.sh`)
      edits.push(file(`/opt/piimage/${path.slice(PAYLOAD.length + 1)}`, after, 0o700))
    if (path !== `${PAYLOAD}/units/${UNIT}`) continue
    edits.push(file(`/etc/systemd/system/${UNIT}`, after))
    edits.push(link(`/etc/systemd/system/multi-user.target.wants/${UNIT}`, `/etc/systemd/system/${UNIT}`))
  }
  return edits
}
