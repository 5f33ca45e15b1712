#!/bin/sh
# Makes demo.img.xz: a disk image in the layout of Raspberry Pi OS (Trixie), with
# the real file names on a FAT32 boot partition of 512-byte clusters and a small
# ext4 root, but no operating system in it. It is for trying piimage out; it
# does not boot. The file beside this script is what images.lock.json pins: ext4
# keeps the change times of the files it is made from, so a new run has new digests.
#
# Needs: dosfstools mtools e2fsprogs fdisk xz-utils
# Usage: demo-image.sh [OUT]
set -eu
out=${1:-$(dirname "$0")/demo.img.xz}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TZ=UTC SOURCE_DATE_EPOCH=1764892800 E2FSPROGS_FAKE_TIME=1764892800
# Layout in 512-byte sectors: 4 MiB before the first partition, as pi-gen leaves.
boot_start=8192 boot_size=81920
root_start=$((boot_start + boot_size)) root_size=32768

boot=$work/boot
mkdir -p "$boot/overlays"
printf 'console=serial0,115200 console=tty1 root=PARTUUID=0de30de3-02 rootfstype=ext4 fsck.repair=yes rootwait resize\n' >"$boot/cmdline.txt"
cat >"$boot/config.txt" <<'T'
# For more options and information see
# http://rptl.io/configtxt
dtparam=audio=on
camera_auto_detect=1
display_auto_detect=1
auto_initramfs=1
dtoverlay=vc4-kms-v3d
max_framebuffers=2
disable_fw_kms_setup=1
arm_64bit=1
disable_overscan=1
arm_boost=1

[cm4]
otg_mode=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
T
printf '#cloud-config\n\n# Nothing is set here yet.\n' >"$boot/user-data"
printf '# dsmode: local makes the seed on this partition the only one.\ndsmode: local\ninstance_id: rpios-image\n' >"$boot/meta-data"
printf '# Nothing is set here yet.\n' >"$boot/network-config"
printf 'piimage demo image, 2025-12-05\nA disk layout to try piimage on. No operating system: it does not boot.\n' >"$boot/issue.txt"
for name in bootcode.bin start.elf fixup.dat start_cd.elf fixup_cd.dat \
  start4.elf fixup4.dat start4cd.elf fixup4cd.dat kernel8.img initramfs8 \
  bcm2710-rpi-3-b-plus.dtb bcm2711-rpi-4-b.dtb bcm2712-rpi-5-b.dtb overlays/README; do
  printf '%s: a placeholder in the piimage demo image\n' "$name" >"$boot/$name"
done

root=$work/root
mkdir -p "$root/etc" "$root/boot/firmware" "$root/usr/bin" "$root/var/lib"
printf 'raspberrypi\n' >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n' >"$root/etc/hosts"
printf 'proc /proc proc defaults 0 0\nPARTUUID=0de30de3-01 /boot/firmware vfat defaults 0 2\nPARTUUID=0de30de3-02 / ext4 defaults,noatime 0 1\n' >"$root/etc/fstab"
find "$boot" "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

img=$work/demo.img
truncate -s $(((root_start + root_size) * 512)) "$img"
sfdisk -q "$img" <<T
label: dos
label-id: 0x0de30de3
start=$boot_start, size=$boot_size, type=c
start=$root_start, size=$root_size, type=83
T
truncate -s $((boot_size * 512)) "$work/fat"
mkfs.fat --invariant -F 32 -s 1 -n bootfs -i 0DE30DE3 "$work/fat" >/dev/null
# Sorted, so that the clusters fall the same way everywhere.
(cd "$boot" && LC_ALL=C mcopy -s -m -i "$work/fat" ./* ::)
mke2fs -q -F -t ext4 -d "$root" -L rootfs -U 0de30de3-0de3-4de3-8de3-0de30de30de3 \
  -E hash_seed=0de30de3-0de3-4de3-8de3-0de30de30de3,root_owner=0:0,lazy_itable_init=0 \
  -O ^metadata_csum_seed -m 1 "$work/ext4" $((root_size / 2))k
dd if="$work/fat" of="$img" bs=512 seek=$boot_start conv=notrunc,sparse status=none
dd if="$work/ext4" of="$img" bs=512 seek=$root_start conv=notrunc,sparse status=none
xz -9 --check=crc64 -c "$img" >"$out"
printf '%s\n' "$(stat -c %s "$out") bytes, sha256 $(sha256sum <"$out" | cut -c1-64)"
printf '%s\n' "$(stat -c %s "$img") bytes extracted, sha256 $(sha256sum <"$img" | cut -c1-64)"
