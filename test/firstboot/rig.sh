#!/bin/sh
# rig.sh FOLDER COMMAND…: run COMMAND on the Pi whose parts lie in FOLDER (see
# ./rig.ts). The caller has given us mounts and processes of our own; when the
# command ends, both are gone, and what it wrote lies in FOLDER/disk/upper.
set -eu
folder=$1
shift
new=$folder/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/disk/upper,workdir=$folder/disk/work" "$new"
mount -t proc proc "$new/proc"
mount --rbind /dev "$new/dev"
for name in run sys; do mount --bind "$folder/$name" "$new/$name"; done
[ ! -d "$new/boot/firmware" ] || mount --bind "$folder/fat" "$new/boot/firmware"
status=0
# Not by exec: process 1 outlives a kill of all the others, which is how a test cuts the power.
chroot "$new" "$@" || status=$?
exit "$status"
