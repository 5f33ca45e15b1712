#!/bin/sh
# piimage-nat UPLINK LAN NETWORK: lets NETWORK, behind LAN, out by way of UPLINK.
# Run again it makes the same rules again, and nobody else's are touched: ours
# stand in chains of their own.
set -eu
up=$1 lan=$2 net=$3
rules() { iptables -w "$@"; }

# ours TABLE CHAIN PARENT: an empty chain, first in its parent.
ours() {
  rules -t "$1" -N "$2" 2>/dev/null || rules -t "$1" -F "$2"
  # Docker puts its own jumps in front when it starts; then ours come to the front again.
  rules -t "$1" -D "$3" -j "$2" 2>/dev/null || :
  rules -t "$1" -I "$3" -j "$2"
}

ours nat PIIMAGE-NAT POSTROUTING
rules -t nat -A PIIMAGE-NAT -s "$net" ! -o "$lan" -j MASQUERADE
ours filter PIIMAGE-FORWARD FORWARD
rules -A PIIMAGE-FORWARD -i "$lan" -o "$up" -s "$net" -j ACCEPT
rules -A PIIMAGE-FORWARD -i "$up" -o "$lan" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
