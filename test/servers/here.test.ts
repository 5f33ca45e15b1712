/** Applying on the machine itself, in a mount namespace that stands for it. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const MACHINE = `set -e
mount -t tmpfs none "$1/scratch"
mkdir "$1/scratch/upper" "$1/scratch/work" "$1/scratch/log"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/scratch/upper,workdir=$1/scratch/work" /etc
rm -f /etc/dnsmasq.d/* /etc/exports.d/*
mount --bind "$1/scratch/log" /var/log
mount -t tmpfs none /run
mkdir -p /run/systemd/system
PATH=$1/bin:$PATH
export PATH SCRATCH="$1/scratch"
exec "$2" "$3" "$1/scratch"`

/** Services are files; mounts are real. */
const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*" >>"$SCRATCH/diary"
verb=$1; shift
[ "$1" != --quiet ] || shift
mkdir -p "$SCRATCH/active" "$SCRATCH/enabled"
value() { sed -n "s/^$1=//p" "/etc/systemd/system/$2"; }
for unit do
  if [ -e "$SCRATCH/fail-$unit" ]; then
    case $verb in start|restart|stop) rm "$SCRATCH/fail-$unit"; echo 'it does not start, or stop' >&2; exit 1 ;; esac
  fi
  case $verb:$unit in
    start:*.mount)
      grep -q " $(value Where "$unit") " /proc/mounts ||
        mount -t "$(value Type "$unit")" -o "$(value Options "$unit")" "$(value What "$unit")" "$(value Where "$unit")"
      value Where "$unit" >"$SCRATCH/active/$unit" ;;
    stop:*.mount)
      [ ! -e "$SCRATCH/active/$unit" ] || umount "$(cat "$SCRATCH/active/$unit")"
      rm -f "$SCRATCH/active/$unit" ;;
    is-active:*) [ -e "$SCRATCH/active/$unit" ] || exit 3 ;;
    is-enabled:*) [ -e "$SCRATCH/enabled/$unit" ] || exit 1 ;;
    start:*|restart:*) : >"$SCRATCH/active/$unit" ;;
    stop:*) rm -f "$SCRATCH/active/$unit" ;;
    enable:*) : >"$SCRATCH/enabled/$unit" ;;
    disable:*) rm -f "$SCRATCH/enabled/$unit" ;;
  esac
done
`
const APT_GET = `#!/bin/sh
echo "apt-get $*" >>"$SCRATCH/diary"
case $* in *install*) : >"$SCRATCH/installed" ;; esac
`
const DPKG_QUERY = `#!/bin/sh
echo 'e2fsprogs installed'
[ ! -e "$SCRATCH/installed" ] || printf '%s\\n' 'dnsmasq installed' 'nfs-kernel-server installed'
`

test('on the machine itself: installed, started, told of changes, and as before after remove', (t) => {
  if (!needRoot(t)) return
  for (const [tool, debianPackage] of [
    ['unshare', 'util-linux'],
    ['mkfs.ext4', 'e2fsprogs'],
    ['dnsmasq', 'dnsmasq-base'],
    ['exportfs', 'nfs-kernel-server'],
  ] as const)
    if (needTool(t, tool, debianPackage) === undefined) return
  const folder = tempFolder(t)
  for (const name of ['bin', 'scratch']) mkdirSync(join(folder, name))
  for (const [name, text] of [
    ['systemctl', SYSTEMCTL],
    ['apt-get', APT_GET],
    ['dpkg-query', DPKG_QUERY],
  ] as const) {
    writeFileSync(join(folder, 'bin', name), text)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
  const program = join(import.meta.dirname, 'here-program.js')
  const ran = run('unshare', ['--mount', 'sh', '-c', MACHINE, 'sh', folder, process.execPath, program])
  assert.equal(ran.status, 0, ran.stderr)
})
