#!/bin/sh
# Portainer as a stack of the swarm. Its first password is a secret of the swarm
# before the stack is there: whoever opens the page first would else choose one.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

case $(uname -m) in
  armv6*) impossible 'Portainer has no image for ARMv6: make another board the head' ;;
esac
state_of_swarm=$(docker info -f '{{.Swarm.LocalNodeState}}/{{.Swarm.ControlAvailable}}' 2>/dev/null) || state_of_swarm=
[ "$state_of_swarm" = active/true ] || later 'this node is no manager of a swarm yet'
if ! docker secret inspect portainer-admin >/dev/null 2>&1; then
  docker secret create portainer-admin - <"$secrets/portainer-password" >/dev/null ||
    fail 'the swarm did not take the secret portainer-admin'
fi
docker stack deploy --resolve-image changed -c "$root/etc/piimage/portainer.yaml" portainer ||
  fail 'the stack could not be deployed: docker stack ps portainer says why'
