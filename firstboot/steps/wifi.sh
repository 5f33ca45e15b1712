#!/bin/sh
# Switches the radio on and sets the country whose rules it keeps. Images come
# with Wi-Fi blocked in two places until somebody says where they are: the
# kernel's rfkill, saved by systemd, and NetworkManager's own switch.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

[ -n "${PIIMAGE_WIFI_COUNTRY:-}" ] || exit 0

printf 'options cfg80211 ieee80211_regdom=%s\n' "$PIIMAGE_WIFI_COUNTRY" |
  put 644 root:root "$root/etc/modprobe.d/piimage-regdom.conf"
for saved in "$root"/var/lib/systemd/rfkill/*:wlan; do
  if [ -f "$saved" ]; then echo 0 | put 644 root:root "$saved"; fi
done
switch=$root/var/lib/NetworkManager/NetworkManager.state
if [ -f "$switch" ]; then set_line "$switch" '^WirelessEnabled=' 'WirelessEnabled=true'; fi
# Every other daemon leaves Wi-Fi to wpa_supplicant, whose file comes with the secrets.
if [ -f "$secrets/network/wpa_supplicant.conf" ] && ! is_enabled NetworkManager.service; then
  put 600 root:root "$root/etc/wpa_supplicant/wpa_supplicant.conf" <"$secrets/network/wpa_supplicant.conf"
fi

if is_running; then
  if command -v rfkill >/dev/null; then rfkill unblock wifi || :; fi
  if command -v iw >/dev/null; then iw reg set "$PIIMAGE_WIFI_COUNTRY" || :; fi
  if command -v nmcli >/dev/null; then nmcli radio wifi on || :; fi
  # ifupdown brings up what is plugged in; a radio was there before its file.
  for file in "$root"/etc/network/interfaces.d/wl*; do
    if [ -f "$file" ] && command -v ifup >/dev/null; then ifup "${file##*/}" || :; fi
  done
fi
