/**
 * The oldest way to start a payload: a shell as the first process.
 *
 * For systemd before 240 (Stretch). The kernel starts bash instead of systemd,
 * with the root file system read-only and nothing mounted; its one command line
 * mounts what install.sh needs, runs it, puts the saved command line back and
 * restarts the machine. If the shell ends, the kernel panics: so everything is
 * one list of commands that goes on after a failure, and the restart is last.
 *
 * The stock `init=` (it grows the root file system) must run after us. It lies
 * in `cmdline.txt.piimage-orig`, which is also what a person needs to repair
 * the card on a laptop.
 */
import { type BootDraft, bytesOf } from '../boot-draft.ts'
import { formatCmdline } from '../cmdline-txt.ts'

export const SAVED_CMDLINE = 'cmdline.txt.piimage-orig'

/** @returns the tokens of the one boot; the ones after it are saved beside cmdline.txt */
export function withInitScript(draft: BootDraft, script: string): string[] {
  const boot = script.slice(0, script.indexOf('/piimage/'))
  draft.files.set(SAVED_CMDLINE, bytesOf(formatCmdline(draft.cmdline)))
  const commands = [
    'mount -t proc proc /proc',
    'mount -t sysfs sys /sys',
    'mount -o remount,rw /',
    `mount ${boot}`,
    `cp ${boot}/${SAVED_CMDLINE} ${boot}/cmdline.txt`,
    `sh ${script}`,
    'sync',
    `umount ${boot}`,
    'mount -o remount,ro /',
    'sync',
    'echo b >/proc/sysrq-trigger',
  ]
  return [
    ...draft.cmdline.filter((token) => !token.startsWith('init=')),
    'init=/bin/bash',
    '-c',
    `"${commands.join('; ')}"`,
  ]
}
