#!/bin/sh
# piimage-join-token NODE: prints the token with which NODE joins this swarm.
# A worker's ssh key is good for this one command, with its own name; sshd runs
# it by way of sudo.
#
# It is answered until the node is in: a worker that lost power between asking
# and joining asks again, and a second use after that is refused.
#
# Exit status: 75 the swarm is not there yet; 77 no such node; 78 the node is in.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

refuse() {
  echo "piimage-join-token: $2" >&2
  logger -t piimage-join "$2" 2>/dev/null || :
  exit "$1"
}

node=${1:-}
case $node in '' | *[!a-z0-9-]*) refuse 77 'that is no node' ;; esac
grep -q "^$node " /opt/piimage/material/swarm-nodes || refuse 77 "$node is no node of this cluster"
[ ! -e /var/lib/piimage/swarm-closed ] || refuse 78 "refused to $node: the swarm is complete"
state=$(docker info -f '{{.Swarm.LocalNodeState}}/{{.Swarm.ControlAvailable}}' 2>/dev/null) || state=
[ "$state" = active/true ] || refuse 75 "not yet for $node: this head has no swarm so far"
nodes=$(docker node ls --format '{{.Hostname}} {{.Status}}') || refuse 75 "not yet for $node: the swarm does not answer"
if printf '%s\n' "$nodes" | grep -qx "$node Ready"; then refuse 78 "refused to $node: it is in the swarm"; fi
logger -t piimage-join "token given to $node" 2>/dev/null || :
docker swarm join-token -q worker
