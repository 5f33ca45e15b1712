#!/bin/sh
# Eight tasks of a replicated job, each an eighth of the nodes. Before it:
#   docker secret create piimage-key cluster.key
#   docker config create piimage-cluster cluster.yaml
#   docker config create piimage-lock images.lock.json
# and /srv/piimage on every machine (shared, or to be collected afterwards).
set -eu
shards=${1:-8}

# Runs in the task. The key lies beside the cluster file, readable by its owner only.
# shellcheck disable=SC2016 # the task's variables, not this script's
task='work=$(mktemp -d)
cp "$CONFIG"/* "$work"
(umask 077 && cat "$KEY" >"$work/cluster.key")
cd "$work"
piimage bake --all --shard "$SHARD/$SHARDS" --cluster cluster.yaml --cache "$DATA/cache" --output "$DATA/out" --format xz --yes'

docker service create --name piimage-bake --mode replicated-job --replicas "$shards" --max-concurrent "$shards" \
  --env SHARD='{{.Task.Slot}}' --env SHARDS="$shards" \
  --env CONFIG=/config --env KEY=/run/secrets/piimage-key --env DATA=/data \
  --config source=piimage-cluster,target=/config/cluster.yaml \
  --config source=piimage-lock,target=/config/images.lock.json \
  --secret piimage-key \
  --mount type=bind,source=/srv/piimage,target=/data \
  piimage:1 sh -euc "$task"
