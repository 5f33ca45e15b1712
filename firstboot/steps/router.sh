#!/bin/sh
# The cluster's way out: dnsmasq for addresses and names, and rules that let
# packets through. dnsmasq's settings lie ready before it is installed, so that
# it never answers with anybody else's.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

settings=$root/etc/dnsmasq.d/piimage-router.conf
put 644 root:root "$settings" <"$payload/material/router-dnsmasq"

# dnsmasq-base alone has no unit: images that bring it for NetworkManager lack one.
wanted=
if ! command -v dnsmasq >/dev/null || ! has_unit dnsmasq.service; then wanted=dnsmasq; fi
command -v iptables >/dev/null || wanted="$wanted iptables"
if [ -n "$wanted" ] && [ -d "$payload/router/debs" ]; then
  install_debs "$payload/router/debs"
elif [ -n "$wanted" ]; then
  apt_get update
  # shellcheck disable=SC2086 # one or two names
  apt_get install --no-install-recommends $wanted
fi
dnsmasq --test -C "$settings" || fail "dnsmasq does not take its settings: sudo dnsmasq --test -C $settings says why"

enable_unit piimage-nat.service
enable_unit dnsmasq.service
if is_running; then
  sysctl -q -p /etc/sysctl.d/90-piimage-router.conf
  systemctl daemon-reload
  systemctl restart piimage-nat.service || fail 'the rules could not be set: journalctl -u piimage-nat says why'
  systemctl restart dnsmasq.service || fail 'dnsmasq does not start: journalctl -u dnsmasq says why'
fi
