#!/bin/bash
# stand-ins.gen.sh: writes fixtures/stand-ins/*.img.gz anew.
#
# Images of 16 MiB without a system: an empty FAT, and a root with what a plan looks at (network, swap,
# resizing, host keys). They are kept, not made by the tests, because the tools' versions show in the bytes.
#
# Needs: dosfstools e2fsprogs fdisk util-linux
set -euo pipefail
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || exec unshare -r "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
export TZ=UTC LC_ALL=C SOURCE_DATE_EPOCH=1735689600 E2FSPROGS_FAKE_TIME=1735689600

# put PATH TEXT
put() {
  mkdir -p "$root/$(dirname "$1")"
  printf "$2" >"$root/$1"
}

common() {
  put etc/hosts '127.0.0.1\tlocalhost\n\n127.0.1.1\traspberrypi\n'
  put etc/hostname 'raspberrypi\n'
  put etc/fstab 'proc /proc proc defaults 0 0\nPARTUUID=7a3f1c55-01 /boot vfat defaults 0 2\nPARTUUID=7a3f1c55-02 / ext4 defaults 0 1\n'
}
ifupdown() { put etc/network/interfaces 'source-directory /etc/network/interfaces.d\n'; }
dhcpcd() {
  ifupdown
  put etc/dhcpcd.conf 'hostname\nclientid\n'
  put etc/init.d/resize2fs_once '#!/bin/sh\n'
  put etc/init.d/dphys-swapfile '#!/bin/sh\n'
  put lib/systemd/system/regenerate_ssh_host_keys.service '[Unit]\n'
  put lib/systemd/systemd-resolved ''
}
networkmanager() {
  put etc/NetworkManager/NetworkManager.conf '[main]\n'
  put etc/rpi/swap.conf '[Main]\n'
  put etc/cloud/cloud.cfg 'users: []\n'
  for unit in rpi-resize systemd-growfs-root systemd-growfs@ sshd-keygen; do
    put "usr/lib/systemd/system/$unit.service" '[Unit]\n'
  done
  put etc/ssh/ssh_host_ed25519_key 'key\n'
  put etc/ssh/ssh_host_ed25519_key.pub 'key\n'
}

mkdir -p fixtures/stand-ins
for name in ifupdown dhcpcd networkmanager; do
  image=$work/$name.img root=$work/$name
  mkdir "$root"
  common
  "$name"
  find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  truncate -s 16M "$image"
  sfdisk -q "$image" <<<$'label: dos\nlabel-id: 0x7a3f1c55\n2048,12M,c\n26624,3M,83\n'
  mkfs.fat -F 16 -s 4 --invariant -C "$work/fat" $((12 * 1024)) >/dev/null
  mke2fs -q -t ext4 -U 7a3f1c55-0000-4000-8000-000000000002 -E hash_seed=7a3f1c55-0000-4000-8000-000000000003 \
    -d "$root" "$work/ext4" 3M
  dd if="$work/fat" of="$image" bs=1M seek=1 conv=notrunc status=none
  dd if="$work/ext4" of="$image" bs=1M seek=13 conv=notrunc status=none
  gzip -9nc "$image" >"fixtures/stand-ins/$name.img.gz"
  rm "$work/fat" "$work/ext4"
done
