#!/bin/sh
# piimage-join-token NODE [WORDS]: prints the token with which NODE joins this
# swarm; with the words `joined ID`, notes which node of the swarm NODE is. A
# worker's ssh key is good for this one command, with its own name; sshd runs it
# by way of sudo.
#
# A swarm's token binds nobody to a name, so whoever has one key could come in
# under any other node's name. What counts is the note, made with NODE's own key:
# only that ID gets NODE's labels and its role (firstboot/steps/swarm-gather.sh).
#
# The token is given until the noted node is there: a worker that lost power
# between asking and joining asks again, and a second use after that is refused.
#
# Exit status: 75 not yet; 76 that ID is not NODE; 77 no such node; 78 NODE is in.
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
nodes=$(docker node ls --format '{{.ID}} {{urlquery .Hostname}} {{.Status}}') || refuse 75 "not yet for $node: the swarm does not answer"
members=/var/lib/piimage/swarm-members
noted=
if [ -f "$members/$node" ]; then noted=$(head -n 1 "$members/$node"); fi

case ${2:-} in
  'joined '*)
    id=${2#joined }
    case $id in '' | *[!a-z0-9]*) refuse 76 "refused to $node: that is no ID of a node" ;; esac
    [ "$id" != "$noted" ] || exit 0
    printf '%s\n' "$nodes" | grep -q "^$id " || refuse 75 "not yet for $node: the swarm does not show $id"
    printf '%s\n' "$nodes" | grep -q "^$id $node " || refuse 76 "refused to $node: $id has another name"
    if [ -n "$noted" ] && printf '%s\n' "$nodes" | grep -qx "$noted $node Ready"; then
      refuse 78 "refused to $node: it is in the swarm as $noted, and $id says that it is $node too"
    fi
    mkdir -p "$members"
    printf '%s\n' "$id" >"$members/.$node.new"
    mv -f "$members/.$node.new" "$members/$node"
    logger -t piimage-join "$node is $id" 2>/dev/null || :
    exit 0
    ;;
esac
if [ -n "$noted" ] && printf '%s\n' "$nodes" | grep -qx "$noted $node Ready"; then
  refuse 78 "refused to $node: it is in the swarm"
fi
logger -t piimage-join "token given to $node" 2>/dev/null || :
docker swarm join-token -q worker
