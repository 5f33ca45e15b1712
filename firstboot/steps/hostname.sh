#!/bin/sh
# The host name, and the line in /etc/hosts that lets the node find itself
# without DNS (sudo asks for it at each call).
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

name=$PIIMAGE_HOSTNAME
printf '%s\n' "$name" | put 644 root:root "$root/etc/hostname"
set_line "$root/etc/hosts" '^127\.0\.1\.1[ 	]' "127.0.1.1	${PIIMAGE_DOMAIN:+$name.$PIIMAGE_DOMAIN }$name"
if is_running; then hostname "$name"; fi
