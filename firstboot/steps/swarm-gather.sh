#!/bin/sh
# On the head, after everything else: each node that has come in gets its labels
# and its role; when all are in, nobody else can use what was good for joining.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

patience=${PIIMAGE_SWARM_PATIENCE:-1800}
longest=${PIIMAGE_SWARM_PAUSE:-30}
# A node that lost power is still shown as ready for 15 s: three heartbeats.
heartbeats=${PIIMAGE_SWARM_HEARTBEATS:-20}
# How long the broker is open for nodes that never come, in seconds.
open_for=${PIIMAGE_SWARM_OPEN_FOR:-86400}
list=$payload/material/swarm-nodes
members=$state/swarm-members
closed=$state/swarm-closed
[ ! -e "$closed" ] || exit 0

# arch_of ID: our name for what the node's own Docker says it runs on.
arch_of() {
  case $(docker node inspect -f '{{.Description.Platform.Architecture}}' "$1") in
    armv6*) echo armv6 ;;
    armv7* | arm) echo armv7 ;;
    aarch64 | arm64) echo arm64 ;;
    x86_64) echo amd64 ;;
  esac
}

# settle ID ROLE LABEL…: changes only what is not as it should be.
settle() {
  id=$1 role=$2
  shift 2
  case " $*" in *' arch='*) ;; *) set -- "$@" "arch=$(arch_of "$id")" ;; esac
  has=$(docker node inspect -f '{{range $key, $value := .Spec.Labels}}{{$key}}={{$value}}{{println}}{{end}}' "$id")
  for label; do
    printf '%s\n' "$has" | grep -qxF -e "$label" || docker node update --label-add "$label" "$id" >/dev/null
  done
  if [ "$role" = manager ] && [ "$(docker node inspect -f '{{.Spec.Role}}' "$id")" != manager ]; then
    docker node promote "$id" >/dev/null
  fi
}

# The node lost power after it had joined and before it knew: it is in twice,
# and the one that is down is nobody. A manager has to be demoted first.
forget_twins() {
  printf '%s\n' "$seen" | awk -v name="$1" '$2 == name && $3 == "Down" { print $1 }' | while read -r twin; do
    docker node demote "$twin" >/dev/null 2>&1 || :
    docker node rm --force "$twin" >/dev/null
  done
}

# id_of NAME: the node of the swarm that NAME is: on the head itself what its
# Docker says, else what came with NAME's own key (overlays/swarm/join-token.sh).
# Where no broker was opened, a person brought each node in.
id_of() {
  if [ "$1" = "$PIIMAGE_NODE" ]; then
    docker info -f '{{.Swarm.NodeID}}'
  elif [ -f "$payload/material/join-authorized-keys" ]; then
    head -n 1 "$members/$1" 2>/dev/null || :
  else
    printf '%s\n' "$seen" | awk -v name="$1" '$2 == name && $3 == "Ready" { print $1; exit }'
  fi
}

# Another that is there under that name joined with some other node's key, or by hand.
tell_strangers() {
  printf '%s\n' "$seen" | awk -v name="$1" -v id="$2" '$2 == name && $3 == "Ready" && $1 != id { print $1 }' |
    while read -r stranger; do
      say "$stranger calls itself $1 and did not come with its key: it gets no label and no role (docker node rm --force $stranger)"
    done
}

# gather: settles who is there; sets `missing`. A host name is the node's own word: in the form of a URL it is one
# word of one line, and a plain one stays as it is.
gather() {
  missing=
  seen=$(docker node ls --format '{{.ID}} {{urlquery .Hostname}} {{.Status}}') || fail 'the swarm does not answer: docker node ls'
  while read -r name role labels; do
    id=$(id_of "$name")
    tell_strangers "$name" "$id"
    if [ -z "$id" ] || ! printf '%s\n' "$seen" | grep -q "^$id $name Ready"; then
      missing="$missing $name"
      continue
    fi
    # shellcheck disable=SC2086 # label values hold no blanks
    settle "$id" "$role" $labels
    forget_twins "$name"
  done <"$list"
}

# What sshd allowed while the broker was open holds until it reads its settings again.
take_limits_back() {
  limits=$root/etc/ssh/sshd_config.d/20-piimage-join.conf
  [ -e "$limits" ] || return 0
  rm -f "$limits"
  is_running || return 0
  for unit in ssh.service sshd.service; do
    has_unit "$unit" || continue
    systemctl --no-block try-reload-or-restart "$unit"
    break
  done
}

# The broker goes before the token changes: afterwards neither an old token nor a key gets anybody in.
close() {
  rm -rf "$root/var/lib/piimage-join"
  rm -f "$root/etc/sudoers.d/90-piimage-join" "$root/usr/local/sbin/piimage-join-token"
  take_limits_back
  if grep -q '^piimage-join:' "$root/etc/passwd"; then accounts userdel piimage-join; fi
  docker swarm join-token --rotate -q worker >/dev/null
  # A node that lost power while it joined has left a record without a name.
  docker node ls --format '{{.ID}} {{urlquery .Hostname}} {{.Status}}' | awk 'NF == 2 { print $1 }' | while read -r nameless; do
    docker node rm --force "$nameless" >/dev/null
  done
  rm -f "$state/swarm-waited"
  date -u +%Y-%m-%dT%H:%M:%SZ | put 644 root:root "$closed"
}

waited=0
pause=2
told=
while :; do
  gather
  if [ -z "$missing" ]; then
    # Closing on one that only seems to be there would lock it out.
    sleep "$heartbeats"
    gather
    [ -n "$missing" ] || break
  fi
  if [ "$told" != "$missing" ]; then report swarm-gather waiting "not in the swarm yet:$missing"; fi
  told=$missing
  # Counted, because the clock of a Pi may jump.
  counted=$(head -n 1 "$state/swarm-waited" 2>/dev/null || echo 0)
  if [ "$counted" -ge "$open_for" ]; then
    say "the swarm is closed without:$missing (piimage join --node NAME brings one in)"
    break
  fi
  printf '%s\n' $((counted + pause)) | put 644 root:root "$state/swarm-waited"
  [ "$waited" -lt "$patience" ] || later "not in the swarm yet:$missing"
  [ "$pause" -le "$longest" ] || pause=$longest
  sleep "$pause"
  waited=$((waited + pause))
  pause=$((pause * 2))
done
close
