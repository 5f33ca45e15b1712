#!/bin/sh
# Runs the steps of the first boot that need the network, in order, each until
# it has succeeded once. Started by piimage-firstboot.service, which starts it
# again when it fails; a step that was cut off runs again from its start.
#
# What a step says by its exit status:
#   0   done; never run again for this payload
#   75  waiting for something outside this node (a head that is still off):
#       tried again without limit
#   78  can't be done on this node, ever: give up, say so
#   any other: failed; tried again with growing pauses, up to a limit per boot
#
# Exit status: 0 all done, 1 to be started again, 78 given up until next boot.

LC_ALL=C
export LC_ALL
umask 022

# shellcheck source=lib.sh
. "${PIIMAGE_ROOT:-}/opt/piimage/lib.sh"
PIIMAGE_LIB=$payload/lib.sh
PIIMAGE_BOOT=$(find_boot)
export PIIMAGE_LIB PIIMAGE_BOOT

attempts=$root/run/piimage/attempts
limit=${PIIMAGE_ATTEMPTS:-12}
longest_pause=${PIIMAGE_LONGEST_PAUSE:-300}

if [ -f "$payload/node.env" ]; then
  set -a
  # shellcheck disable=SC1091
  . "$payload/node.env"
  set +a
fi

# failed_attempts STEP: how often it failed since the power came on.
failed_attempts() { cat "$attempts/$1" 2>/dev/null || echo 0; }

# pause_after ATTEMPTS: 5, 10, 20 … seconds.
pause_after() {
  pause=5
  doublings=$(($1 - 1))
  while [ "$doublings" -gt 0 ] && [ "$pause" -lt "$longest_pause" ]; do
    pause=$((pause * 2))
    doublings=$((doublings - 1))
  done
  [ "$pause" -le "$longest_pause" ] || pause=$longest_pause
  echo "$pause"
}

# give_up STEP DETAIL
give_up() {
  report "$1" failed "$2"
  copy_log "$1"
  exit 78
}

# attempt STEP COMMAND…: returns only when it succeeded.
attempt() {
  step=$1
  shift
  report "$step" running
  rm -f "$root/run/piimage/reason"
  run_logged "$step" "$@"
  status=$?
  [ "$status" -ne 0 ] || return 0
  mkdir -p "$attempts"
  tried=$(($(failed_attempts "$step") + 1))
  echo "$tried" >"$attempts/$step"
  # A step that did not say why has a program that did.
  reason=$({ cat "$root/run/piimage/reason" || grep . "$root/run/piimage/$step.output" | tail -n 1; } 2>/dev/null | cut -c 1-200)
  [ "$status" -ne 78 ] || give_up "$step" "${reason:-not possible on this node}"
  [ "$status" -eq 75 ] || [ "$tried" -lt "$limit" ] || give_up "$step" "failed $tried times; tried again at the next boot${reason:+: $reason}"
  pause=$(pause_after "$tried")
  if [ "$status" -eq 75 ]; then
    report "$step" waiting "${reason:+$reason; }next look in $pause s"
  else
    report "$step" retrying "${reason:+$reason; }attempt $tried ended with status $status; next one in $pause s"
  fi
  # The FAT is written for the first failure only; later ones say the same.
  [ "$tried" -gt 1 ] || copy_log "$step"
  sleep "$pause"
  exit 1
}

# our_seed: whether cloud-init's seed on the FAT is piimage's.
our_seed() { grep -qs 'piimage/install\.sh' "$PIIMAGE_BOOT/user-data"; }

# It may still run: it is what starts us on a first boot.
wait_for_cloud_init() {
  waited=0
  while [ -e "$root/run/cloud-init/enabled" ] && [ ! -e "$root/run/cloud-init/result.json" ] && [ "$waited" -lt 900 ]; do
    sleep 2
    waited=$((waited + 2))
  done
}

switched_off=$root/etc/cloud/cloud-init.disabled
reason='Switched off by piimage, which has applied the seed.'

# The seed lies on the FAT, readable by every user of the node, with the
# password's hash and the Wi-Fi's key in it; so it is emptied. meta-data stays:
# without its instance-id the next boot would count as a new machine, with new
# host keys. And cloud-init is switched off, because it would set the host name
# again from the seed at every boot and costs a Zero half a minute each time.
retire_cloud_init() {
  wait_for_cloud_init
  printf '%s\n' "$reason" | put 644 root:root "$switched_off" || return 1
  sync
  # The file that says the seed is ours goes last.
  for seed in network-config user-data; do
    [ -f "$PIIMAGE_BOOT/$seed" ] || continue
    wipe "$PIIMAGE_BOOT/$seed" || return 1
    printf '#cloud-config\n' >"$PIIMAGE_BOOT/$seed" || return 1
  done
  sync
}

# The card was given another seed since cloud-init was retired: only cloud-init
# can apply it, and only from the start of a boot.
recall_cloud_init() {
  our_seed && [ "$(cat "$switched_off" 2>/dev/null)" = "$reason" ] || return 1
  rm -f "$switched_off"
  sync
  report cloud-init waiting 'a new seed is on the card; this boot starts again with it'
  systemctl reboot
}

# The installer was cut off, or the card was given another payload since.
install_pending() {
  [ ! -e "$state/installed" ] || [ -d "$PIIMAGE_BOOT/piimage/secrets" ]
}

install_again() {
  PIIMAGE_FROM_UNIT=yes sh "$PIIMAGE_BOOT/piimage/install.sh" && ! install_pending
}

if install_pending; then
  if recall_cloud_init; then exit 0; fi
  # Two installers at once would be one too many.
  if our_seed; then wait_for_cloud_init; fi
fi
if install_pending; then
  attempt reinstall install_again
  # The payload may have been replaced, this file with it.
  exec sh "$payload/run.sh"
fi
[ ! -e "$state/firstboot.done" ] || exit 0

# Before the steps: one of them may wait for days, with the seed in plain sight.
if our_seed; then attempt cloud-init retire_cloud_init; fi

# run_step NAME FILE
run_step() {
  sh "$2" || return $?
  sync
  mark "$state/steps/$1" || return 1
  sync
}

for file in "$payload"/firstboot.d/*.sh; do
  [ -f "$file" ] || continue
  name=${file##*/}
  name=${name%.sh}
  [ ! -e "$state/steps/$name" ] || continue
  attempt "$name" run_step "$name" "$file"
done

# Said first, marked then: cut off between the two, it is said again.
finish() {
  report firstboot 'done'
  put 644 root:root "$state/firstboot.done" <"$payload/.id"
  sync
}
attempt firstboot finish
