#!/bin/sh
# k3s: the head becomes its server, the others its agents. Settings and units lie
# ready; what comes here is the program, the secrets in their places, and the wait
# until this node is in.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

program=$root/usr/local/bin/k3s
settings=$root/etc/rancher/k3s

digest_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# The program is put in place only after its digest was right.
install_k3s() {
  carried=$payload/k3s/k3s
  if [ -f "$carried" ]; then
    read -r wanted name <"$carried.sha256"
  else
    read -r wanted name <"$root/etc/piimage/k3s.sha256"
  fi
  if [ -x "$program" ] && [ "$(digest_of "$program")" = "$wanted" ]; then return 0; fi
  need_room 300 k3s
  if [ -f "$carried" ]; then
    check_digest "$carried"
    put 755 root:root "$program" <"$carried"
    return
  fi
  # Not below /run: that is memory, and too little of it.
  new=$root/var/cache/piimage/$name
  fetch_file "$PIIMAGE_K3S_MIRROR/$(printf '%s' "$PIIMAGE_K3S_VERSION" | sed 's/+/%2B/')/$name" "$new"
  found=$(digest_of "$new")
  if [ "$found" != "$wanted" ]; then
    rm -f "$new"
    fail "the $name that was fetched is not the one with the digest $wanted: it has $found"
  fi
  put 755 root:root "$program" <"$new"
  rm -f "$new"
}

case $(uname -m) in
  armv6*) impossible 'there is no k3s for ARMv6 (Pi 1, Zero, Zero W)' ;;
esac
has_memory_cgroup ||
  impossible 'the kernel has no memory control group, without which k3s does not start: is cgroup_enable=memory in cmdline.txt?'
install_k3s
# Names under which k3s is those programs too; somebody else's are left alone.
for name in kubectl crictl; do
  [ -e "$root/usr/local/bin/$name" ] || put_link k3s "$root/usr/local/bin/$name"
done

mkdir -p "$settings"
if [ "$PIIMAGE_ROLE" = head ]; then
  unit=k3s.service
  tls=$root/var/lib/rancher/k3s/server/tls
  (umask 077 && mkdir -p "$tls")
  take_secret cluster-ca-key "$tls/server-ca.key"
  put 644 root:root "$tls/server-ca.crt" <"$payload/material/cluster-ca"
  take_secret k3s-token "$settings/token"
  take_secret k3s-agent-password "$settings/agent-token"
else
  unit=k3s-agent.service
  take_secret k3s-agent-token "$settings/token"
fi
# The head believes a node's name only together with the password that came with it first.
take_secret k3s-node-password "$root/etc/rancher/node/password"
enable_unit "$unit"
is_running || exit 0

# joined: whether this node is in.
joined() {
  systemctl -q is-active "$unit" || return 1
  [ "$PIIMAGE_ROLE" != head ] || "$program" kubectl get node "$PIIMAGE_NODE" >/dev/null 2>&1
}
systemctl daemon-reload
systemctl --no-block start "$unit"
waited=0
while ! joined; do
  if [ "$waited" -ge 300 ]; then
    if journalctl -q -b -u "$unit" -n 200 2>/dev/null | grep -qi 'node password rejected'; then
      later "the head knows $PIIMAGE_NODE with another password: on the head, sudo k3s kubectl -n kube-system delete secret $PIIMAGE_NODE.node-password.k3s"
    fi
    [ "$PIIMAGE_ROLE" = head ] || later "the head ($PIIMAGE_K3S_HEAD_ADDRESS) has not taken this node in yet: journalctl -u k3s-agent says more"
    fail 'k3s does not come up: journalctl -u k3s says why'
  fi
  sleep 5
  waited=$((waited + 5))
done
say 'this node is in the cluster'
