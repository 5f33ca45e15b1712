/**
 * What is appended to an initramfs for nodes that share one read-only root: a
 * script of initramfs-tools that runs once the root is mounted, and lays an
 * overlay in memory over it with the node's own files in it.
 *
 * The kernel unpacks concatenated archives one after the other, whatever each is
 * compressed with; a plain one must start at a multiple of four bytes. The
 * script's folder is run by its file ORDER alone, so ours must name the scripts
 * of the image that stand there too.
 *
 * The tools are those of klibc, the least that such an initramfs has: no cp, so
 * the node's files come as a cpio archive. They come over NFS, from a folder
 * that is exported to this node only, because TFTP would show them to everybody.
 *
 * Source: initramfs-tools(7), scripts/functions `run_scripts`; Linux, "initramfs
 * buffer format".
 */
import { type CpioEntry, FILE, FOLDER, formatCpio } from './cpio.ts'

const PLACE = 'scripts/nfs-bottom'
const NAME = 'piimage'

/** Names the folder with the node's files: `piimage.state=10.3.50.1:/srv/…`. */
export const STATE_PARAMETER = 'piimage.state'
/** The archive in that folder. */
export const STATE_FILE = 'state.cpio'

const script = `#!/bin/sh
# Made by piimage: one read-only root for many nodes, each with its own files over it.
case $1 in
prereqs)
  echo
  exit 0
  ;;
esac
. /scripts/functions

state=
for word in $(cat /proc/cmdline); do
  case $word in ${STATE_PARAMETER}=*) state=\${word#*=} ;; esac
done
[ -n "$state" ] || exit 0

modprobe -q overlay || modprobe -q -d "$rootmnt" overlay || panic "piimage: this kernel has no module overlay"
own=/run/piimage-root
mkdir -p $own/lower $own/state $own/memory
mount -t tmpfs -o mode=0755,size=50% tmpfs $own/memory || panic "piimage: no memory for this node's files"
mkdir $own/memory/upper $own/memory/work
until nfsmount -o nolock,ro,vers=3 "$state" $own/state; do
  log_warning_msg "piimage: $state can't be mounted yet"
  sleep 2
done
(cd $own/memory/upper && cpio -i <$own/state/${STATE_FILE}) || panic "piimage: this node's files can't be unpacked"
umount $own/state
mount -n -o move "$rootmnt" $own/lower || panic "piimage: the root can't be moved"
mount -t overlay -o lowerdir=$own/lower,upperdir=$own/memory/upper,workdir=$own/memory/work overlay "$rootmnt" ||
  panic "piimage: no overlay over the root"
`

const order = (names: readonly string[]): string =>
  names.map((name) => `/${PLACE}/${name} "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n`).join('')

/** @param scripts of the image in the same folder; ours comes last */
export function sharedSegment(scripts: readonly string[], seconds: number): Buffer {
  const encoder = new TextEncoder()
  const entries: CpioEntry[] = [
    { path: 'scripts', mode: FOLDER + 0o755 },
    { path: PLACE, mode: FOLDER + 0o755 },
    { path: `${PLACE}/${NAME}`, mode: FILE + 0o755, content: encoder.encode(script) },
    { path: `${PLACE}/ORDER`, mode: FILE + 0o644, content: encoder.encode(order([...scripts, NAME])) },
  ]
  return formatCpio(entries, seconds)
}
