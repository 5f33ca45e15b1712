#!/bin/sh
# A Pi has no battery clock and wakes up in the past, where every certificate
# and package list is "not yet valid". So the steps after this one wait here
# until time has come over the network: at most three minutes, for a cluster
# without any time server must come up as well.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

synchronized() {
  [ ! -e "$root/run/systemd/timesync/synchronized" ] || return 0
  [ "$(timedatectl show -p NTPSynchronized --value 2>/dev/null)" = yes ]
}

# Nothing keeps the time here, or a clock with a battery does: no use waiting.
longest=${PIIMAGE_CLOCK_WAIT:-180}
if [ -e "$root/sys/class/rtc/rtc0" ]; then longest=0; fi

waited=0
while ! synchronized; do
  if [ "$waited" -ge "$longest" ]; then
    say "the clock is not synchronised; it says $(date -u +%Y-%m-%dT%H:%MZ)"
    exit 0
  fi
  sleep 2
  waited=$((waited + 2))
done
say "the clock is synchronised"
