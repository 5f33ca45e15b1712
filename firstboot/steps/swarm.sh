#!/bin/sh
# Into the swarm. The head makes it, and opens the broker that gives workers
# their token (overlays/swarm/join-token.sh); a worker fetches the token and
# joins. The token is held in memory only.
#
# What Docker says of this node decides, never what an earlier run did:
#   inactive  in no swarm      pending  on its way in, in the background
#   active    in               error    could not get in
#   locked    in, and waiting for a person with the key
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

head=$PIIMAGE_SWARM_HEAD_ADDRESS
# How long one run of this step looks again by itself, and how it paces.
patience=${PIIMAGE_SWARM_PATIENCE:-1800}
longest=${PIIMAGE_SWARM_PAUSE:-30}

state_of_node() {
  docker info -f '{{.Swarm.LocalNodeState}}' 2>/dev/null || fail 'the Docker daemon does not answer: journalctl -u docker says why'
}

# told WHY: said once, however often we look.
told=
tell() {
  [ "$told" != "$*" ] || return 0
  told=$*
  report swarm waiting "$*"
}

# pause: a little longer each time, and not all workers at once.
waited=0
pause=2
pause() {
  [ "$waited" -lt "$patience" ] || later "$told"
  jitter=$(($(od -An -N1 -tu1 /dev/urandom) % 3))
  sleep $((pause + jitter))
  waited=$((waited + pause + jitter))
  pause=$((pause * 2))
  [ "$pause" -le "$longest" ] || pause=$longest
}

# Tokens are kept out of everything that is written.
redacted() { sed 's/SWMTKN-[-0-9a-zA-Z]*/SWMTKN-…/g'; }

make_swarm() {
  while ! has_address "$head"; do
    tell "this node's address $head is not there yet"
    pause
  done
  pool=
  # Docker before 18.09 knows no pools.
  if docker swarm init --help | grep -q -e --default-addr-pool; then
    pool="--default-addr-pool $PIIMAGE_SWARM_ADDRESS_POOL --default-addr-pool-mask-length 24"
  fi
  # shellcheck disable=SC2086 # several words
  said=$(docker swarm init --advertise-addr "$head" $pool 2>&1) || fail "docker swarm init: $(printf '%s' "$said" | redacted | head -n 1)"
}

# The account can do nothing but what its keys' forced command does; its files are root's.
open_broker() {
  [ -f "$payload/material/join-authorized-keys" ] || return 0
  [ ! -e "$state/swarm-closed" ] || return 0
  home=$root/var/lib/piimage-join
  # No password fits; a "!" would be a locked account, which some sshd refuse.
  grep -q '^piimage-join:' "$root/etc/passwd" ||
    accounts useradd -r -M -d /var/lib/piimage-join -s /bin/sh -p '*' piimage-join
  mkdir -p "$home/.ssh"
  own root:root "$home" "$home/.ssh"
  chmod 755 "$home" "$home/.ssh"
  put 644 root:root "$home/.ssh/authorized_keys" <"$payload/material/join-authorized-keys"
  limit_connections
}

# Connections that are held without logging in keep others out, by stock settings
# ten of them. While the broker is open each address may hold a few, all together
# many, and none for long.
limit_connections() {
  folder=$root/etc/ssh/sshd_config.d
  limits=$folder/20-piimage-join.conf
  # OpenSSH before 8.2 reads no such folder.
  [ -d "$folder" ] && [ ! -e "$limits" ] || return 0
  each='PerSourceMaxStartups 8'
  # OpenSSH before 8.5 would not start with it.
  if /usr/sbin/sshd -t -o "$each" 2>&1 | grep -qi 'bad configuration option'; then each=; fi
  printf '%s\n' 'LoginGraceTime 20' 'MaxStartups 100:30:200' ${each:+"$each"} | put 644 root:root "$limits"
  is_running || return 0
  for unit in ssh.service sshd.service; do
    has_unit "$unit" || continue
    systemctl --no-block try-reload-or-restart "$unit"
    break
  done
}

lead() {
  now=$(state_of_node)
  case $now in
    inactive) make_swarm ;;
    active) ;;
    locked) later 'the swarm is locked: docker swarm unlock, on this node' ;;
    pending) later 'the swarm is starting' ;;
    *) fail 'Docker cannot bring up the swarm: journalctl -u docker says why' ;;
  esac
  [ "$(docker info -f '{{.Swarm.ControlAvailable}}')" = true ] || fail 'this node is in a swarm and is not its manager: docker swarm leave'
  open_broker
}

# ask_head [WORDS]: the broker's answer.
heard=$root/run/piimage/join.log
ask_head() {
  mkdir -p "${heard%/*}"
  ssh -F /dev/null -T -i "$secrets/join-key" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=5 \
    -o StrictHostKeyChecking=yes -o HostKeyAlgorithms=ssh-ed25519 -o GlobalKnownHostsFile=/dev/null \
    -o UserKnownHostsFile="$payload/material/join-known-hosts" "piimage-join@$head" "$@" </dev/null 2>"$heard"
}

# tell_why STATUS: why the broker did not do as asked.
tell_why() {
  case $1 in
    75) tell "the head at $head has no swarm so far" ;;
    76) tell "the head at $head takes this node for another: its host name must be $PIIMAGE_NODE" ;;
    77) tell "the head at $head does not know this node: make its card from the same cluster file" ;;
    78) tell "the head at $head gives no token: a node of this name is in, or the swarm is complete; piimage join --node $PIIMAGE_NODE" ;;
    *)
      if grep -qi 'host key verification failed\|identification has changed' "$heard"; then
        tell "the machine at $head shows another host key than the head's: not trusted"
      elif grep -qi 'permission denied' "$heard"; then
        tell "the head at $head lets no worker in yet"
      else
        tell "the head at $head does not answer yet"
      fi
      ;;
  esac
}

# fetch_token: into `token`; else says why not, and fails.
fetch_token() {
  token=$(ask_head) && status=0 || status=$?
  if [ "$status" -ne 0 ]; then
    tell_why "$status"
  elif printf '%s' "$token" | grep -Eqx 'SWMTKN-[12]-[0-9a-z]{50}-[0-9a-z]{25}'; then
    return 0
  else
    tell "the head at $head answers with something that is no token"
  fi
  return 1
}

# enrol: the head notes which node of the swarm this one is; another that only
# has its name gets neither its labels nor its role.
enrol() {
  id=$(docker info -f '{{.Swarm.NodeID}}' 2>/dev/null) || id=
  ask_head "joined $id" >/dev/null && status=0 || status=$?
  case $status in
    0) return 0 ;;
    75) tell "the head at $head does not see this node yet" ;;
    *) tell_why "$status" ;;
  esac
  return 1
}

join() {
  if [ -n "${PIIMAGE_SWARM_ADDRESS:-}" ]; then
    while ! has_address "$PIIMAGE_SWARM_ADDRESS"; do
      tell "this node's address $PIIMAGE_SWARM_ADDRESS is not there yet"
      pause
    done
  fi
  said=$(printf '%s\n' "$token" | join_swarm "${PIIMAGE_SWARM_ADDRESS:-$PIIMAGE_SWARM_INTERFACE}" "$head:2377" 2>&1) || {
    said="the swarm did not take this node in: $(printf '%s' "$said" | redacted | head -n 1)"
    case $said in *'no space left'*) fail "$said" ;; esac
    tell "$said"
  }
  token=
}

follow() {
  pending=0
  while :; do
    now=$(state_of_node)
    case $now in
      active) break ;;
      locked) later 'the swarm is locked: docker swarm unlock, on this node' ;;
      inactive)
        pending=0
        if fetch_token; then join; fi
        ;;
      *)
        # pending goes on by itself; after a while, and after an error, only a new start helps.
        pending=$((pending + 1))
        if [ "$now" = error ] || [ "$pending" -gt 10 ]; then
          docker swarm leave --force >/dev/null 2>&1 || :
          pending=0
        fi
        ;;
    esac
    [ "$(state_of_node)" != active ] || break
    pause
  done
  while [ -f "$secrets/join-key" ] && ! enrol; do pause; done
  # Used up: the head would not answer it again.
  if [ -f "$secrets/join-key" ]; then
    wipe "$secrets/join-key"
    rm -f "$secrets/join-key"
  fi
}

if [ "$PIIMAGE_ROLE" = head ]; then lead; else follow; fi
