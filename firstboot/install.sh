#!/bin/sh
# Puts piimage's payload from the FAT into the system: the one thing that each
# kind of image starts, as root, on its first boot (cloud-init's runcmd, the
# kernel's `systemd.run=`, or `init=`).
#
# It needs no network, may be cut off at any line and run again, and always
# exits 0: under `systemd.run=` anything else would power the Pi off. What went
# wrong stands in /var/lib/piimage/status and on the FAT in piimage/log/, and
# piimage-firstboot.service runs this script again on the next ordinary boot.
#
# The stages are ordered by what a power cut must not break: the unit that
# picks up the rest comes first, the trigger goes last.

# Messages that are compared (passwd, systemctl) are the untranslated ones.
LC_ALL=C
export LC_ALL
umask 022

fat=$(cd "$(dirname "$0")" && pwd) || exit 0
PIIMAGE_BOOT=${PIIMAGE_BOOT:-${fat%/*}}
export PIIMAGE_BOOT
# shellcheck source=lib.sh
. "$fat/lib.sh"

# The payload's identity: everything that is not secret. Another node's payload
# put on the same card is another identity, and every step runs again.
payload_id() (
  cd "$1" && find . -type f ! -path './secrets/*' ! -path './log/*' ! -name .id | LC_ALL=C sort |
    while IFS= read -r file; do
      printf '%s\n' "$file"
      cat "$file"
    done | cksum
)

# Written under another name, flushed, then renamed: a payload that is there is whole.
stage_payload() {
  id=$(payload_id "$fat")
  mkdir -p "$state"
  [ "$(cat "$payload/.id" 2>/dev/null)" != "$id" ] || return 0
  rm -rf "$payload.new"
  mkdir -p "$payload.new"
  chmod 700 "$payload.new"
  for entry in "$fat"/*; do
    case ${entry##*/} in
      secrets | log) ;;
      *) cp -R "$entry" "$payload.new/" ;;
    esac
  done
  printf '%s\n' "$id" >"$payload.new/.id"
  # A FAT has no owners and no modes.
  own -R root:root "$payload.new"
  chmod -R go-rwx "$payload.new"
  # What an earlier payload did says nothing about this one.
  rm -rf "$state/installed" "$state/firstboot.done" "$state/early" "$state/steps"
  sync
  # Moved away, then removed: on an NFS root a script that is running from there
  # keeps its folder from being emptied, but not from being renamed.
  [ ! -e "$payload" ] || mv "$payload" "$payload.old.$$"
  mv "$payload.new" "$payload"
  sync
  rm -rf "$payload".old.* || :
}

stage_units() {
  for unit in "$payload"/units/*; do
    [ -f "$unit" ] || continue
    put 644 root:root "$root/etc/systemd/system/${unit##*/}" <"$unit"
    case $unit in *.service | *.timer) enable_unit "${unit##*/}" ;; esac
  done
  sync
}

# Each secret is copied, flushed, renamed on the FAT, overwritten, removed. The
# rename makes a half-overwritten file impossible to take for a secret on the
# next run. (Flash may keep old sectors; nothing above it can reach those.)
stage_secrets() {
  mkdir -p "$secrets"
  own root:root "$root/etc/piimage" "$secrets"
  chmod 700 "$root/etc/piimage" "$secrets"
  [ -d "$fat/secrets" ] || return 0
  find "$fat/secrets" -type f ! -name '*.wipe' | while IFS= read -r file; do
    target=$secrets/${file#"$fat/secrets/"}
    mkdir -p "${target%/*}"
    chmod 700 "${target%/*}"
    put 600 root:root "$target" <"$file"
  done
  sync
  find "$fat/secrets" -type f ! -name '*.wipe' | while IFS= read -r file; do
    mv -f "$file" "$file.wipe"
  done
  sync
  find "$fat/secrets" -type f -name '*.wipe' | while IFS= read -r file; do
    wipe "$file"
  done
  rm -rf "$fat/secrets"
  sync
}

# files.list: MODE OWNER GROUP TARGET SOURCE, with SOURCE inside the payload;
# secrets/… is read from where the secrets went.
stage_files() {
  [ -f "$payload/files.list" ] || return 0
  while read -r mode owner group target source; do
    case $mode in '' | '#'*) continue ;; esac
    case $source in
      secrets/*) source=$secrets/${source#secrets/} ;;
      *) source=$payload/$source ;;
    esac
    put "$mode" "$owner:$group" "$root$target" <"$source"
  done <"$payload/files.list"
  sync
}

# Runs the steps that need no network, in order, each until it has succeeded once.
stage_early() {
  missed=
  for step in "$payload"/early.d/*.sh; do
    [ -f "$step" ] || continue
    name=${step##*/}
    name=${name%.sh}
    [ ! -e "$state/early/$name" ] || continue
    # One step that fails (no such time zone) must not cost the others (ssh).
    rm -f "$root/run/piimage/reason"
    if sh "$step" && sync && mark "$state/early/$name"; then continue; fi
    why=$(cat "$root/run/piimage/reason" 2>/dev/null) || why=
    missed="$missed${missed:+; }$name${why:+: $why}"
  done
  sync
  [ -z "$missed" ] || fail "these steps failed: $missed"
}

# Takes our trigger out of cmdline.txt: only when the token that starts this
# very script is there, and then exactly the tokens that belong to it. Where
# another script is to run as well (Raspberry Pi Imager's), what stands behind
# that one is its own. Quotes keep blanks together, as the
# kernel reads them.
stage_trigger() {
  # The firmware of some systems reads it elsewhere: config.txt's cmdline= and os_prefix=.
  line=$PIIMAGE_BOOT/${PIIMAGE_CMDLINE:-cmdline.txt}
  [ -f "$line" ] || return 0
  rm -f "$line.new"
  tr -d '\r' <"$line" | awk '
    function is_ours(text) { return text ~ /^systemd\.run="?\/[^"]*[\/ ]piimage\/install\.sh"?$/ }
    NR > 1 { print; next }
    {
      count = 0; token = ""; quoted = 0; ours = 0; other = 0
      for (i = 1; i <= length($0) + 1; i++) {
        c = i > length($0) ? " " : substr($0, i, 1)
        if (c == "\"") quoted = !quoted
        if ((c == " " || c == "\t") && (!quoted || i > length($0))) {
          if (token != "") tokens[++count] = token
          token = ""
        } else token = token c
      }
      for (i = 1; i <= count; i++)
        if (is_ours(tokens[i])) ours = 1
        else if (!other && tokens[i] ~ /^systemd\.run=/) other = i
      if (!ours) exit 3
      separator = ""
      for (i = 1; i <= count; i++) {
        if (is_ours(tokens[i])) continue
        if (!other || i < other) {
          if (tokens[i] ~ /^systemd\.run_(success|failure)_action=/) continue
          if (tokens[i] == "systemd.unit=kernel-command-line.target") continue
        }
        printf "%s%s", separator, tokens[i]
        separator = " "
      }
      printf "\n"
    }' >"$line.new" || {
    status=$?
    rm -f "$line.new"
    [ "$status" -eq 3 ] || fail 'cmdline.txt could not be written'
    return 0
  }
  # A line without a root can't boot; then the old one is better.
  grep -q 'root=' "$line.new" || fail "cmdline.txt would lose its root="
  sync
  mv -f "$line.new" "$line"
  sync
}

stage_mark() {
  put 644 root:root "$state/installed" <"$payload/.id"
  sync
}

# stage NAME: runs one, notes its failure, goes on with the next.
failed=
stage() {
  (
    set -eu
    "stage_$1"
  )
  # shellcheck disable=SC2181 # testing the subshell directly would switch off its set -e
  [ $? -eq 0 ] || failed="$failed $1"
}

# is_left_behind: whether nothing is installed that could pick up the rest (a
# disk that takes no writes). Then the trigger stays for the next boot; but not
# after the third, or a Pi with a dead card would start again for ever.
is_left_behind() {
  case "$failed " in *' payload '* | *' units '*) ;; *) return 1 ;; esac
  tries=$(($(cat "$fat/log/tries" 2>/dev/null || echo 0) + 1))
  [ "$tries" -lt 3 ] || return 1
  mkdir -p "$fat/log" && echo "$tries" >"$fat/log/tries" && sync
}

install_all() {
  rm -f "$root/run/piimage/reason"
  stage payload
  stage units
  if [ -f "$payload/node.env" ]; then
    set -a
    # shellcheck disable=SC1091
    . "$payload/node.env"
    set +a
  fi
  PIIMAGE_LIB=$payload/lib.sh
  export PIIMAGE_LIB
  for name in secrets files early; do stage "$name"; done
  if is_left_behind; then :; else stage trigger; fi
  # Said first, marked then: cut off between the two, it is said again.
  if [ -z "$failed" ]; then
    report install 'done'
    stage mark
  fi
  [ -n "$failed" ] || return 0
  report install failed "these stages failed:$failed$(sed 's/^/: /' "$root/run/piimage/reason" 2>/dev/null)"
  return 1
}

mkdir -p "$state/log" || :
if [ -z "${PIIMAGE_FROM_UNIT:-}" ] && is_running; then start=yes; else start=no; fi
run_logged install install_all
# shellcheck disable=SC2181 # `||` would switch off the stages' set -e
[ $? -eq 0 ] || copy_log install
if [ "$start" = yes ]; then
  # Not waited for: the unit is ordered after things that wait for our caller.
  systemctl daemon-reload
  systemctl --no-block restart piimage-firstboot.service
fi
exit 0
