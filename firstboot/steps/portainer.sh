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

# too_old TAG: Portainer before 2.33.5, and 2.34 and 2.35, ask with an API that
# Docker 29 took away. A tag that is no number is not judged.
too_old() {
  printf '%s\n' "$1" | awk -F '[.-]' '
    $1 !~ /^[0-9]+$/ || $2 !~ /^[0-9]+$/ || $3 !~ /^[0-9]+$/ { exit 1 }
    { exit !($1 < 2 || ($1 == 2 && ($2 < 33 || ($2 == 33 && $3 < 5) || $2 == 34 || $2 == 35))) }'
}

# The least API that this Docker answers to, as 1.44.
least=$(docker version -f '{{.Server.MinAPIVersion}}' 2>/dev/null) || least=
case $least in
  1.4[4-9] | 1.[5-9]? | 1.???)
    if too_old "$PIIMAGE_PORTAINER_TAG"; then
      say "Portainer $PIIMAGE_PORTAINER_TAG can't load this swarm: Docker answers to API $least and later only, which Portainer speaks from 2.33.5 on (tag of the overlay portainer)"
    fi
    ;;
esac
docker stack deploy --resolve-image changed -c "$root/etc/piimage/portainer.yaml" portainer ||
  fail 'the stack could not be deployed: docker stack ps portainer says why'
