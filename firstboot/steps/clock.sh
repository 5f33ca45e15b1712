#!/bin/sh
# A Pi has no clock that runs on without power, and wakes up in the past, where every certificate
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

# kept: whether a clock with a battery has kept the time. Every Pi 5 has a clock, few have its battery:
# without one it starts in 1970. A node can't be older than what it was set up with; a clock that
# doesn't say its own time is believed when the system's is a day past that, which no start-up takes.
kept() {
  clock=$root/sys/class/rtc/rtc0
  [ -e "$clock" ] || return 1
  made=$(date -r "$payload/node.json" +%s) || return 1
  if time=$(cat "$clock/since_epoch" 2>/dev/null); then
    [ "$time" -ge "$made" ]
  else
    [ "$(date +%s)" -gt $((made + 86400)) ]
  fi
}

longest=${PIIMAGE_CLOCK_WAIT:-180}
if kept; then longest=0; fi

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
