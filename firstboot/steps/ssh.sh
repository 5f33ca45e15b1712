#!/bin/sh
# Lets people in by ssh, now and after each boot.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

for unit in ssh.service sshd.service; do
  has_unit "$unit" || continue
  enable_unit "$unit"
  # Not waited for: the daemon may be ordered after whatever started us.
  if is_running; then systemctl --no-block start "$unit"; fi
  exit 0
done
fail 'this image has no ssh server'
