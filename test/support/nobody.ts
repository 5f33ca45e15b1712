/** A user who may do nothing on this machine: not root, no privilege to gain, and no loop device in sight. */
import { run } from './tools.ts'

/** Debian's `nobody`. */
const NOBODY = 65534

/** A /dev with what programs expect anywhere; the rest of the machine keeps its own. */
const OWN_DEVICES = `set -e
at=$(mktemp -d)
mount -t tmpfs -o mode=755 devices "$at"
for name in null zero random urandom; do touch "$at/$name"; mount --bind "/dev/$name" "$at/$name"; done
ln -s /proc/self/fd "$at/fd"
mount --rbind "$at" /dev
umount -R "$at"
rmdir "$at"
exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups --no-new-privs "$@"`

/** The command that runs `words` as that user; wants root. */
export const asNobody = (words: readonly string[]): [string, string[]] => [
  'unshare',
  ['--mount', 'sh', '-c', OWN_DEVICES, 'sh', ...words],
]

/** @throws {Error} some of it can't be given away */
export function giveToNobody(folder: string): void {
  const { status, stderr } = run('chown', ['-R', '-h', `${NOBODY}:${NOBODY}`, folder])
  if (status !== 0) throw new Error(stderr)
}
