/**
 * The oldest way to start a payload: a shell as the first process.
 *
 * For systemd before 240 (Stretch), which knows no `systemd.run=`. The kernel
 * starts bash, with the root file system read-only and nothing mounted. Its one
 * command line mounts the boot partition and reads `piimage/init` there, which
 * runs install.sh, puts the saved command line back and restarts the machine.
 * Should bash ever end, the kernel panics: so nothing in there stops at a
 * failure, and the restart is last.
 *
 * The kernel hands on as an argument only what has neither `=` (that becomes
 * the environment) nor `.` (that is taken for a module's parameter): hence the
 * file's name and `source`.
 *
 * The image's own `init=`, which grows the root file system, runs on the boot
 * after: it lies in `cmdline.txt.piimage-orig`, which is also what a person
 * needs to repair the card on a laptop.
 *
 * Source: Linux, init/main.c (`unknown_bootoption`).
 */
import { bytesOf } from '../boot/boot-files.ts'
import { formatCmdline } from '../boot/cmdline-txt.ts'
import type { BootDraft } from '../customise/boot-draft.ts'
import type { DetectedOs } from '../node/system.ts'

export const SAVED_CMDLINE = 'cmdline.txt.piimage-orig'

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

/** Part of the payload of such a system; `start` needs it. */
export function addInitScript(draft: BootDraft, os: DetectedOs): void {
  draft.payload.set('init', bytesOf(initScript(os.bootMount)))
}

/** @returns the tokens of the one boot; those of the boots after it are saved beside cmdline.txt */
export function withInitShell(draft: BootDraft, os: DetectedOs): string[] {
  const boot = os.bootMount
  draft.files.set(SAVED_CMDLINE, bytesOf(formatCmdline(draft.cmdline)))
  const commands = [
    'mount -t proc proc /proc',
    'mount -t sysfs sys /sys',
    `mount ${boot}`,
    `source ${boot}/piimage/init`,
  ]
  return [
    ...draft.cmdline.filter((token) => !token.startsWith('init=')),
    'init=/bin/bash',
    '-c',
    `"${commands.join('; ')}"`,
  ]
}

/** Whether these are tokens of `withInitShell`: then the image's own are in SAVED_CMDLINE. */
export const isInitShell = (tokens: readonly string[]): boolean =>
  tokens.some((token) => token.startsWith('"') && token.endsWith('/piimage/init"'))
