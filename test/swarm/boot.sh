#!/bin/sh
# boot.sh FOLDER NAME LOWER: process 1 of a node made of namespaces. The caller
# has given it namespaces of its own (mounts, processes, host name, network).
#
# Its root is an overlay over this machine's own; FOLDER/upper is the node's
# card: what is written there is still there when the node is killed and booted
# again. LOWER (Docker, sudo) is linked into a new card.
set -eu
folder=$1 name=$2 lower=$3
new=$folder/root
if [ ! -e "$folder/upper" ]; then
  cp -al "$lower" "$folder/upper" || cp -a "$lower" "$folder/upper"
  # What a test adds to a new card.
  if [ -d "$folder/extra" ]; then cp -a "$folder/extra/." "$folder/upper/"; fi
fi
mkdir -p "$folder/work" "$folder/docker" "$new"
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$new"
mount -t proc proc "$new/proc"
mount --rbind /sys "$new/sys"
mount --rbind /dev "$new/dev"
mount -t tmpfs tmpfs "$new/run"
mount -t tmpfs tmpfs "$new/tmp"
# Docker's own layers can't lie on an overlay.
mkdir -p "$new/var/lib/docker" "$new/run/sshd" "$new/boot/firmware"
mount --bind "$folder/docker" "$new/var/lib/docker"
mount --bind "$folder/fat" "$new/boot/firmware"
hostname "$name"
exec chroot "$new" /bin/sh -c '
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  export PATH
  unset DOCKER_HOST
  # What the trigger, systemd and its unit do on a Pi.
  [ -e /var/lib/piimage/installed ] || sh /boot/firmware/piimage/install.sh
  if [ -e /etc/ssh/ssh_host_ed25519_key ]; then /usr/sbin/sshd -E /var/log/sshd.log; fi
  /usr/sbin/dockerd --storage-driver vfs >>/var/log/dockerd.log 2>&1 &
  while [ ! -S /run/docker.sock ]; do sleep 0.2; done
  until PIIMAGE_CLOCK_WAIT=0 PIIMAGE_SWARM_PAUSE=2 PIIMAGE_LONGEST_PAUSE=1 PIIMAGE_ATTEMPTS=1000 sh /opt/piimage/run.sh; do sleep 1; done
  echo finished
  sleep infinity &
  wait
'
