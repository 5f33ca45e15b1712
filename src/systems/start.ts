/**
 * The four ways to start a first boot from a card.
 *
 * - cloud-init's seed names a machine that it hasn't seen before; user-data's
 *   runcmd does the rest, or in a published image vendor-data (./cloud-seed.ts).
 * - `systemd.run=` on the command line; needs systemd 240.
 * - A shell as the first process, for systemd before that (Stretch). The kernel
 *   starts bash, with the root file system read-only and nothing mounted. Its
 *   one command line mounts the boot partition and reads `piimage/init` there,
 *   which runs install.sh, puts the saved command line back and restarts the
 *   machine. Should bash ever end, the kernel panics: so nothing in there stops
 *   at a failure, and the restart is last.
 * - A script of DietPi's first boot, under the name that it looks for.
 *
 * The kernel hands on as an argument only what has neither `=` (that becomes
 * the environment) nor `.` (that is taken for a module's parameter): hence the
 * file's name and `source`. The image's own `init=`, which grows the root file
 * system, runs on the boot after: it lies in `cmdline.txt.piimage-orig`, which
 * is also what a person needs to repair the card on a laptop.
 *
 * A root on a server has the unit of the first boot in it already: there only
 * cloud-init's seed is left to be named.
 *
 * Source: Linux, init/main.c (`unknown_bootoption`).
 */
import { bytesOf } from '../boot/boot-files.ts'
import { formatYaml, mergeTrees, type TreeMap } from '../boot/cloud-init.ts'
import {
  formatCmdline,
  installCommand,
  withBootScript,
  withInitShell,
  withInstanceId,
} from '../boot/cmdline-txt.ts'
import { INSTALL, PRESCRIPT, SAVED_CMDLINE } from '../boot/payload-paths.ts'
import type { NodeState } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'

/** Files of the boot partition and kernel parameters that start a first boot. */
export interface Started {
  files: ReadonlyMap<string, Uint8Array>
  kernel: string[]
}

export interface Start {
  /** Files below piimage/ that a card needs for it. */
  payload: ReadonlyMap<string, Uint8Array>
  /** @param identity changes whenever anything else does that is written */
  card(kernel: readonly string[], identity: string): Started
  /** The same for a root on a server. */
  served(kernel: readonly string[], identity: string): Started
}

const nothing: ReadonlyMap<string, Uint8Array> = new Map()
const asItIs = (kernel: readonly string[]): Started => ({ files: nothing, kernel: [...kernel] })

/**
 * @param metaData what meta-data says besides the instance-id
 * @param byCmdline whether the command line names the seed; else a link in the image does, and `ds=` would hide it
 */
export function startByCloudInit(
  { given }: NodeState,
  metaData: TreeMap,
  { byCmdline }: { byCmdline: boolean },
): Start {
  const { 'instance-id': _, instance_id: __, ...rest } = given.metaData ?? {}
  const start = (kernel: readonly string[], identity: string): Started => ({
    files: new Map([
      ['meta-data', bytesOf(formatYaml(mergeTrees(rest, { 'instance-id': identity, ...metaData })))],
    ]),
    // Without this cloud-init takes every boot for that of a new machine.
    kernel: byCmdline ? withInstanceId(kernel, identity) : [...kernel],
  })
  return { payload: nothing, card: start, served: start }
}

export const startBySystemdRun = ({ bootMount }: DetectedOs, { published }: NodeState): Start => ({
  payload: nothing,
  card: (kernel) => ({
    files: nothing,
    kernel: withBootScript(kernel, installCommand(bootMount, published)),
  }),
  served: asItIs,
})

export const startByInitShell = ({ bootMount }: DetectedOs): Start => ({
  payload: new Map([['init', bytesOf(initScript(bootMount))]]),
  card: (kernel) => ({
    files: new Map([[SAVED_CMDLINE, bytesOf(formatCmdline(kernel))]]),
    kernel: withInitShell(kernel, bootMount),
  }),
  served: asItIs,
})

export const startByPreScript = (): Start => ({
  payload: nothing,
  card: (kernel) => ({ files: new Map([[PRESCRIPT, bytesOf(preScript)]]), kernel: [...kernel] }),
  served: asItIs,
})

/** Which of the two is the boot partition depends on the age of the image. */
const preScript = `#!/bin/sh
# Written by piimage: DietPi's first boot runs this before there is a network.
for boot in /boot/firmware /boot; do
  if [ -f "$boot/${INSTALL}" ]; then exec sh "$boot/${INSTALL}"; fi
done
echo 'piimage: ${INSTALL} is on no boot partition' >&2
exit 1
`

const initScript = (
  boot: string,
): string => `# The first process of one boot, read by bash: see install.sh for what it starts.
# No command here may end the shell.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -o remount,rw /
sh ${boot}/piimage/install.sh
cp ${boot}/${SAVED_CMDLINE} ${boot}/cmdline.txt
sync
umount ${boot}
mount -o remount,ro /
sync
echo 1 >/proc/sys/kernel/sysrq
echo b >/proc/sysrq-trigger
sleep 60
`
