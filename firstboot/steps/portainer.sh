#!/bin/sh
# Portainer as a stack of the swarm. Its first password is a secret of the swarm
# before the stack is there: whoever opens the page first would else choose one.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

[ "$(docker info -f '{{.Swarm.ControlAvailable}}' 2>/dev/null)" = true ] || fail 'this node is no manager of a swarm'
if ! docker secret inspect portainer-admin >/dev/null 2>&1; then
  docker secret create portainer-admin - <"$secrets/portainer-password" >/dev/null
fi
docker stack deploy -c "$root/etc/piimage/portainer.yaml" portainer
