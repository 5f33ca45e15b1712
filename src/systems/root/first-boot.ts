/**
 * A node's first boot in its root: everything it needs, where the image mounts
 * its boot partition, so that only this node can read it.
 *
 * On a card something of the image starts `piimage/install.sh` from there. Here
 * the unit that picks up a first boot that was cut off is in the root already,
 * and it finds an installation that has not begun. Where cloud-init is the
 * starter, its seed lies there too and it may come first.
 */
import { PAYLOAD } from '../../boot/payload-paths.ts'
import { file, folder, link, type RootEdit } from './root-edit.ts'

const UNIT = 'piimage-firstboot.service'

/**
 * @param boot where the image mounts its boot partition
 * @param firstBoot what lies there for the first boot, by path
 * @param texts cmdline.txt and config.txt as TFTP gives them, for programs that look, by path
 */
export function firstBootEdits(
  boot: string,
  firstBoot: ReadonlyMap<string, Uint8Array>,
  texts: ReadonlyMap<string, string>,
): RootEdit[] {
  const edits: RootEdit[] = [
    ...[...texts].map(([path, text]) => file(`${boot}/${path}`, text)),
    folder(`${boot}/${PAYLOAD}`, 0o700),
    folder('/opt/piimage', 0o700),
  ]
  for (const [path, content] of [...firstBoot].sort(([a], [b]) => (a < b ? -1 : 1))) {
    edits.push(file(`${boot}/${path}`, content, 0o600))
    if (path === `${PAYLOAD}/run.sh` || path === `${PAYLOAD}/lib.sh`)
      edits.push(file(`/opt/piimage/${path.slice(PAYLOAD.length + 1)}`, content, 0o700))
    if (path !== `${PAYLOAD}/units/${UNIT}`) continue
    edits.push(file(`/etc/systemd/system/${UNIT}`, content))
    edits.push(link(`/etc/systemd/system/multi-user.target.wants/${UNIT}`, `/etc/systemd/system/${UNIT}`))
  }
  return edits
}
