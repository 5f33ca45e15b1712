#!/bin/sh
# The way out for the cluster: dnsmasq for addresses and names, and rules that
# let packets through. Its settings lie ready before dnsmasq is installed, so
# that it never answers with anybody else's.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

put 644 root:root "$root/etc/dnsmasq.d/piimage-router.conf" <"$payload/material/router-dnsmasq"

wanted=
command -v dnsmasq >/dev/null && has_unit dnsmasq.service || wanted=dnsmasq
command -v iptables >/dev/null || wanted="$wanted iptables"
if [ -n "$wanted" ]; then
  apt_get update
  # shellcheck disable=SC2086 # one or two names
  apt_get install --no-install-recommends $wanted
fi
dnsmasq --test -C "$root/etc/dnsmasq.d/piimage-router.conf" >/dev/null 2>&1 || fail 'dnsmasq does not take its settings: dnsmasq --test says why'

enable_unit piimage-nat.service
enable_unit dnsmasq.service
if is_running; then
  sysctl -q -p /etc/sysctl.d/90-piimage-router.conf
  systemctl daemon-reload
  systemctl restart piimage-nat.service || fail 'the rules could not be set: journalctl -u piimage-nat says why'
  systemctl restart dnsmasq.service || fail 'dnsmasq does not start: journalctl -u dnsmasq says why'
fi
