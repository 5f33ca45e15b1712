#!/bin/sh
# k3s: the head is its server, everybody else an agent. All that they need to
# know of each other was made before the first of them ran.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

head=$PIIMAGE_K3S_HEAD_ADDRESS
program=$root/usr/local/bin/k3s
settings=$root/etc/rancher/k3s

case $(uname -m)/$(dpkg --print-architecture) in
  armv6*) impossible 'k3s does not run on ARMv6' ;;
  */arm64) name=k3s-arm64 list=sha256sum-arm64.txt ;;
  */armhf) name=k3s-armhf list=sha256sum-arm.txt ;;
  */amd64) name=k3s list=sha256sum-amd64.txt ;;
  *) impossible "there is no k3s for $(dpkg --print-architecture)" ;;
esac

controllers=$root/sys/fs/cgroup/cgroup.controllers
if [ -e "$controllers" ]; then
  grep -qw memory "$controllers" || fail 'the kernel has no memory control group: is the overlay cgroups on, and did the node boot since?'
fi

fetch() { "$root/usr/lib/apt/apt-helper" download-file "$1" "$2" || fail "$1 could not be fetched: is there a network, and is it $(date -u +%Y-%m-%d)?"; }
digest_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# The whole program is there, or none.
get_program() {
  [ ! -x "$program" ] || return 0
  new=$root/usr/local/bin/.k3s.piimage-new
  mkdir -p "${new%/*}"
  rm -f "$new"
  free=$(free_megabytes /usr/local)
  [ "${free:-0}" -ge 300 ] || fail "k3s needs 300 MB, and $free MB are free"
  wanted=${PIIMAGE_K3S_SHA256:-}
  if [ -f "$payload/k3s/k3s" ]; then
    cp "$payload/k3s/k3s" "$new"
  else
    if [ -n "${PIIMAGE_K3S_VERSION:-}" ]; then
      # A plus sign is a blank in some servers' eyes.
      folder=$PIIMAGE_K3S_MIRROR/download/$(printf '%s' "$PIIMAGE_K3S_VERSION" | sed 's/+/%2B/')
    else
      folder=$PIIMAGE_K3S_MIRROR/latest/download
    fi
    fetch "$folder/$name" "$new"
    if [ -z "$wanted" ]; then
      mkdir -p "$root/run/piimage"
      rm -f "$root/run/piimage/k3s.sums"
      fetch "$folder/$list" "$root/run/piimage/k3s.sums"
      wanted=$(awk -v name="$name" '$2 == name || $2 == "*" name { print $1; exit }' "$root/run/piimage/k3s.sums")
      [ -n "$wanted" ] || fail "$folder/$list does not name $name"
    fi
  fi
  if [ -n "$wanted" ] && [ "$(digest_of "$new")" != "$wanted" ]; then
    found=$(digest_of "$new")
    rm -f "$new"
    fail "k3s has the digest $found, not $wanted"
  fi
  own root:root "$new"
  chmod 755 "$new"
  sync
  mv -f "$new" "$program"
}

# Addresses where the cluster file has them: on a board with two ports k3s would take the one to the outside.
address_lines() {
  if [ -n "${PIIMAGE_K3S_ADDRESS:-}" ]; then printf 'node-ip: "%s"\n' "$PIIMAGE_K3S_ADDRESS"; fi
  printf 'flannel-iface: "%s"\n' "$PIIMAGE_K3S_INTERFACE"
}

configure_server() {
  tls=$root/var/lib/rancher/k3s/server/tls
  # Later k3s has its own copy, and the secret is gone.
  if [ ! -e "$tls/server-ca.key" ]; then
    put 600 root:root "$tls/server-ca.key" <"$secrets/cluster-ca-key"
    put 644 root:root "$tls/server-ca.crt" <"$payload/material/cluster-ca"
  fi
  {
    printf 'token-file: /etc/piimage/secrets/k3s-token\nagent-token-file: /etc/piimage/secrets/k3s-agent-password\n'
    printf 'advertise-address: "%s"\n' "$head"
    address_lines
  } | put 600 root:root "$settings/config.yaml"
}

configure_agent() {
  {
    printf 'server: https://%s:6443\ntoken-file: /etc/piimage/secrets/k3s-agent-token\n' "$head"
    address_lines
  } | put 600 root:root "$settings/config.yaml"
}

get_program
if [ "$PIIMAGE_ROLE" = head ]; then
  if [ "$root" = '' ]; then has_address "$head" || later "this node's address $head is not there yet"; fi
  configure_server
  role=server
else
  configure_agent
  role=agent
fi
printf 'ROLE=%s\n' "$role" | put 644 root:root "$settings/role"
enable_unit k3s.service
is_running || exit 0
systemctl daemon-reload
# An agent starts when its server answers: systemd goes on trying.
systemctl --no-block restart k3s.service
if [ "$role" = server ]; then
  waited=0
  while ! k3s kubectl get --raw /readyz >/dev/null 2>&1; do
    [ "$waited" -lt 300 ] || fail 'k3s does not get ready: journalctl -u k3s says why'
    sleep 5
    waited=$((waited + 5))
  done
  rm -f "$secrets/cluster-ca-key"
fi
