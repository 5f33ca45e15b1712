#!/bin/sh
# The host key that piimage derived for this node, so that known_hosts could be
# written before the node ever ran. Images make keys of their own on the first
# boot; the service that does so must not run after us.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

folder=$root/etc/ssh
disable_unit regenerate_ssh_host_keys.service

# cloud-init deletes and makes host keys once per instance; ours are not its business.
if [ -d "$root/etc/cloud" ]; then
  printf 'ssh_deletekeys: false\n' | put 644 root:root "$root/etc/cloud/cloud.cfg.d/99-piimage-host-keys.cfg"
fi

before=$(cat "$folder/ssh_host_ed25519_key.pub" 2>/dev/null || :)
put 600 root:root "$folder/ssh_host_ed25519_key" <"$secrets/ssh_host_ed25519_key"
put 644 root:root "$folder/ssh_host_ed25519_key.pub" <"$secrets/ssh_host_ed25519_key.pub"
# One key that known_hosts names: the others would only be a second way in to trust.
for kind in rsa ecdsa dsa; do rm -f "$folder/ssh_host_${kind}_key" "$folder/ssh_host_${kind}_key.pub"; done

if is_running && [ "$before" != "$(cat "$folder/ssh_host_ed25519_key.pub")" ]; then
  for unit in ssh.service sshd.service; do
    if has_unit "$unit"; then
      systemctl --no-block try-restart "$unit"
      break
    fi
  done
fi
