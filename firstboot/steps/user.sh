#!/bin/sh
# The person's account: the image's own first user (uid 1000) under its new
# name, or a new one; its password's hash, keys, and right to sudo. And accounts
# beside it.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

name=$PIIMAGE_USER
field() { awk -F: -v name="$1" -v number="$2" '$1 == name { print $number; exit }' "$root/etc/passwd"; }
has_group() { grep -q "^$1:" "$root/etc/group"; }

if [ -z "$(field "$name" 1)" ]; then
  first=$(awk -F: '$3 == 1000 { print $1; exit }' "$root/etc/passwd")
  id=1000
  # The account of DietPi's own programs stays, under its name.
  if [ "$first" = dietpi ]; then first='' id=''; fi
  if [ -n "$first" ]; then
    # The account's own name goes last: it is how a second run knows what is left.
    for ranges in "$root/etc/subuid" "$root/etc/subgid"; do
      [ ! -f "$ranges" ] || sed "s/^$first:/$name:/" "$ranges" | put 644 root:root "$ranges"
    done
    if has_group "$first" && ! has_group "$name"; then accounts groupmod -n "$name" "$first"; fi
    accounts usermod -l "$name" "$first"
  else
    groups=
    for group in adm dialout cdrom sudo audio video plugdev games users input render netdev gpio i2c spi; do
      if has_group "$group"; then groups=$groups${groups:+,}$group; fi
    done
    accounts useradd ${id:+-u "$id"} -m -s /bin/bash ${groups:+-G "$groups"} "$name"
  fi
fi

# usermod -m changes the entry first and moves the folder then; cut off between
# the two it would leave the user without a home. This order can be run again.
home=$(field "$name" 6)
if [ "$home" != "/home/$name" ] && [ "$name" != root ]; then
  if [ -d "$root$home" ] && [ ! -e "$root/home/$name" ]; then mv "$root$home" "$root/home/$name"; fi
  home=/home/$name
  accounts usermod -d "$home" "$name"
fi
ids=$(field "$name" 3):$(field "$name" 4)
if [ ! -d "$root$home" ]; then
  mkdir -p "$root$home"
  own "$ids" "$root$home"
fi
# An image of April 2026 leaves its first user with a shell that refuses logins.
case $(field "$name" 7) in */nologin | */false | '') accounts usermod -s /bin/bash "$name" ;; esac

# set_login NAME SUFFIX: its password's hash and its keys, from the files that end in SUFFIX.
set_login() {
  # The hash goes through a pipe: arguments can be read by every process. Without
  # one, no password fits; old images came with one that everybody knows.
  hash='*'
  if [ -s "$secrets/password-hash$2" ]; then hash=$(head -n 1 "$secrets/password-hash$2"); fi
  has_hash=$(awk -F: -v name="$1" '$1 == name { print $2; exit }' "$root/etc/shadow" 2>/dev/null) || has_hash=
  if [ "$has_hash" != "$hash" ]; then printf '%s:%s\n' "$1" "$hash" | accounts chpasswd -e; fi

  [ -s "$payload/keys/authorized_keys$2" ] || return 0
  home=$(field "$1" 6)
  ids=$(field "$1" 3):$(field "$1" 4)
  mkdir -p "$root$home/.ssh"
  own "$ids" "$root$home/.ssh"
  chmod 700 "$root$home/.ssh"
  keys=$root$home/.ssh/authorized_keys
  # Keys that are already there stay.
  {
    cat "$keys" 2>/dev/null || :
    while IFS= read -r key || [ -n "$key" ]; do
      if [ -n "$key" ] && ! grep -qxF -e "$key" "$keys" 2>/dev/null; then printf '%s\n' "$key"; fi
    done <"$payload/keys/authorized_keys$2"
  } | put 600 "$ids" "$keys"
}

set_login "$name" ''

# Accounts beside it, a line each: name, shell, groups or -, and what sudo asks.
if [ -f "$payload/users" ]; then
  making=$state/user-in-the-making
  mkdir -p "${making%/*}"
  while read -r other shell groups _; do
    if [ -z "$(field "$other" 1)" ] || [ "$(cat "$making" 2>/dev/null)" = "$other" ]; then
      # useradd goes over several files: one that was cut off between them is made anew.
      printf '%s\n' "$other" >"$making"
      [ -z "$(field "$other" 1)" ] || accounts userdel "$other"
      accounts useradd -m -s "$shell" "$other"
      rm -f "$making"
    fi
    if [ "$(field "$other" 7)" != "$shell" ]; then accounts usermod -s "$shell" "$other"; fi
    if [ "$groups" != - ]; then
      for group in $(printf '%s' "$groups" | tr , ' '); do has_group "$group" || accounts groupadd -r "$group"; done
      accounts usermod -a -G "$groups" "$other"
    fi
    set_login "$other" ".$other"
  done <"$payload/users"
fi

# The last rule that fits wins, and files are read in order of name: after
# cloud-init's 90-… and the image's own 010_pi-nopasswd.
rule() { printf '%s ALL=(ALL:ALL) %s\n' "$1" "$2"; }
{
  if [ "${PIIMAGE_SUDO_PASSWORD:-no}" = yes ]; then rule "$name" ALL; else rule "$name" 'NOPASSWD: ALL'; fi
  if [ -f "$payload/users" ]; then
    while read -r other _ _ sudo; do
      case $sudo in password) rule "$other" ALL ;; nothing) rule "$other" 'NOPASSWD: ALL' ;; esac
    done <"$payload/users"
  fi
} | put 440 root:root "$root/etc/sudoers.d/95-piimage"

# Without this the image waits at its screen for somebody to choose a user.
if has_unit userconfig.service; then
  disable_unit userconfig.service
  enable_unit getty@tty1.service || :
  rm -f "$root/etc/ssh/sshd_config.d/rename_user.conf"
fi
