#!/bin/sh
# The node's addresses, for whichever daemon this image runs. The payload
# brings a candidate for each daemon and interface: <interface>.nmconnection,
# <interface>.network, <interface>.interfaces, dhcpcd.conf; <interface>_2.nmconnection
# of a radio's second network. Those that hold a Wi-Fi key come from the secrets.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

# candidates EXTENSION: their paths, one a line.
candidates() {
  for candidate in "$payload"/network/*."$1" "$secrets"/network/*."$1"; do
    if [ -f "$candidate" ]; then printf '%s\n' "$candidate"; fi
  done
}

# interface_of PATH: eth0.nmconnection is for eth0, eth0.20.network for eth0.20.
interface_of() {
  file_name=${1##*/}
  printf '%s\n' "${file_name%.*}"
}

# NetworkManager leaves a file alone that others may read.
network_manager() {
  folder=$root/etc/NetworkManager/system-connections
  candidates nmconnection | while IFS= read -r file; do
    name=$(interface_of "$file")
    put 600 root:root "$folder/piimage-$name.nmconnection" <"$file"
  done
  is_running || return 0
  nmcli connection reload || return 0
  up=' '
  candidates nmconnection | while IFS= read -r file; do
    device=$(sed -n 's/^interface-name=//p' "$file" | head -n 1)
    # A further network of a radio that has joined one already.
    case $up in *" $device "*) continue ;; esac
    # Not there yet (a cable, a USB adapter): it comes up by itself when it is.
    if nmcli --wait 20 connection up "$(sed -n 's/^id=//p' "$file" | head -n 1)"; then up="$up$device "; fi
  done
}

# The first file that matches an interface wins: before cloud-init's 10-….
networkd() {
  candidates network | while IFS= read -r file; do
    name=$(interface_of "$file")
    # A Wi-Fi key is never in there (wpa_supplicant has it), so all may read.
    put 644 root:root "$root/etc/systemd/network/05-piimage-$name.network" <"$file"
  done
  if is_running; then systemctl --no-block restart systemd-networkd.service; fi
}

dhcpcd() {
  for file in "$payload/network/dhcpcd.conf" "$secrets/network/dhcpcd.conf"; do
    [ -f "$file" ] || continue
    set_block "$root/etc/dhcpcd.conf" <"$file"
  done
  if is_running; then systemctl --no-block restart dhcpcd.service; fi
}

ifupdown() {
  candidates interfaces | while IFS= read -r file; do
    name=$(interface_of "$file")
    put 600 root:root "$root/etc/network/interfaces.d/$name" <"$file"
  done
  grep -q '^source' "$root/etc/network/interfaces" ||
    set_line "$root/etc/network/interfaces" '^source /etc/network/interfaces\.d' 'source /etc/network/interfaces.d/*'
}

if is_enabled NetworkManager.service; then
  network_manager
elif is_enabled dhcpcd.service; then
  dhcpcd
elif is_enabled systemd-networkd.service; then
  networkd
elif [ -f "$root/etc/network/interfaces" ]; then
  ifupdown
else
  fail 'no network daemon that piimage knows is switched on in this image'
fi
