#!/bin/sh
# Makes the small file systems, partition tables and archives that the fuzzer
# starts from, in the folder seeds/ beside it. Needs root for device nodes only
set -eu
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1735689600 E2FSPROGS_FAKE_TIME=1735689600
here=$(cd "$(dirname "$0")" && pwd)/seeds
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$here/disk" "$here/packed" "$work/tree/many" "$work/boot/overlays"

keep() { gzip -n -9 <"$1" >"$here/disk/$2.gz"; }

printf 'console=tty1 root=PARTUUID=7a3f1c55-02 rootwait\n' >"$work/boot/cmdline.txt"
printf '[all]\ndtparam=audio=on\n' >"$work/boot/config.txt"
printf 'a name longer than eight and three\n' >"$work/boot/overlays/A long name.dtbo"
fat() {
  rm -f "$work/fat"
  truncate -s "$2" "$work/fat"
  shift 2
  mkfs.fat --invariant -i 7a3f1c55 -n BOOT "$@" "$work/fat" >/dev/null
  mcopy -i "$work/fat" -s -m "$work/boot/cmdline.txt" "$work/boot/config.txt" "$work/boot/overlays" ::/
}
touch -d 2025-01-01 "$work/boot"/* "$work/boot/overlays"/*
fat fat12 64K -F 12 -r 16 && keep "$work/fat" fat12
fat fat16 2200K -F 16 -s 1 -r 16 && keep "$work/fat" fat16
fat fat32 34M -F 32 -s 1 && keep "$work/fat" fat32

i=0
while [ $i -lt 12 ]; do
  : >"$work/tree/many/a name that fills blocks and blocks $i"
  i=$((i + 1))
done
printf small >"$work/tree/small"
printf x | dd of="$work/tree/sparse" bs=1 seek=20000 status=none
printf y | dd of="$work/tree/sparse" bs=1 seek=5000 conv=notrunc status=none
ln -s small "$work/tree/link"
ln -s "$(printf %0100d 7)" "$work/tree/slow-link"
ln "$work/tree/small" "$work/tree/many/hard"
mkfifo "$work/tree/pipe"
find "$work/tree" -exec touch -h -d 2025-01-01 {} +
ext() {
  name=$1
  shift
  rm -f "$work/ext"
  truncate -s 256K "$work/ext"
  mke2fs -q -F -b 1024 -N 32 -m 0 -U 11111111-2222-3333-4444-555555555555 \
    -E hash_seed=11111111-2222-3333-4444-555555555555,nodiscard "$@" -d "$work/tree" "$work/ext" 2>/dev/null
  debugfs -w -R 'ea_set /small user.test value' "$work/ext" 2>/dev/null
  debugfs -w -R 'ea_set /many user.folder another' "$work/ext" 2>/dev/null
  e2fsck -fyD "$work/ext" >/dev/null 2>&1 || :
  keep "$work/ext" "$name"
}
ext ext2 -t ext2 -I 128
ext ext4-plain -t ext4 -I 256 -O '^has_journal,^metadata_csum,^resize_inode'
ext ext4-checksums -t ext4 -I 256 -O '^has_journal,metadata_csum,64bit,^resize_inode'
ext ext4-inline -t ext4 -I 256 -O '^has_journal,^metadata_csum,inline_data,^resize_inode'
ext ext4-blocks -t ext4 -I 128 -O '^has_journal,^metadata_csum,^extents,^64bit,^resize_inode'

truncate -s 1200K "$work/disk"
fat fat12 64K -F 12 -r 16
printf 'label: dos\nlabel-id: 0x7a3f1c55\n2048,128,c\n2176,128,83\n' | sfdisk -q "$work/disk"
dd if="$work/fat" of="$work/disk" bs=512 seek=2048 conv=notrunc status=none
keep "$work/disk" mbr
rm "$work/disk"
truncate -s 1300K "$work/disk"
printf 'label: gpt\nlabel-id: 11111111-2222-3333-4444-555555555555\nfirst-lba: 34\nstart=2048,size=128,uuid=11111111-2222-3333-4444-555555555556\n' | sfdisk -q "$work/disk"
dd if="$work/fat" of="$work/disk" bs=512 seek=2048 conv=notrunc status=none
keep "$work/disk" gpt

head -c 3000 "$work/ext" >"$work/pi.img"
touch -d 2025-01-01 "$work/pi.img"
(cd "$work" && zip -q -X -9 pi.zip pi.img && zip -q -X -0 stored.zip pi.img boot/config.txt)
cp "$work/pi.zip" "$here/packed/deflated.zip"
cp "$work/stored.zip" "$here/packed/stored.zip"
xz -9 --check=crc32 <"$work/pi.img" >"$here/packed/one.xz"
xz -9 --block-size=1024 <"$work/pi.img" >"$here/packed/blocks.xz"
gzip -n -9 <"$work/pi.img" >"$here/packed/pi.gz"

# The same tree as archives: what a netboot server is given, and what a kernel is.
(cd "$work/tree" && find . | LC_ALL=C sort | grep -v 'blocks [2-9]\|blocks 1.' >"$work/names")
tar() { command tar -C "$work/tree" -b 1 --no-recursion --numeric-owner --mtime=@1735689600 "$@"; }
grep -v sparse "$work/names" >"$work/plain-names"
tar -T "$work/plain-names" --format=gnu -cf "$here/packed/gnu.tar"
tar -T "$work/names" --format=pax --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' --sparse -cf "$here/packed/pax.tar"
(cd "$work/tree" && cpio -o -H newc --reproducible --quiet <"$work/names") >"$work/plain.cpio"
cp "$work/plain.cpio" "$here/packed/plain.cpio"
gzip -n -9 <"$work/plain.cpio" >"$work/packed.cpio"
cat "$work/plain.cpio" "$work/packed.cpio" >"$here/packed/two.cpio"
