# shellcheck shell=sh
# What the piimage scripts on a Pi share. Sourced by install.sh, run.sh and the
# steps; never run by itself.
#
# PIIMAGE_ROOT is put before every path of the system, so that a test, or a
# root tree on a server, stands in for the running Pi. Empty on the Pi itself.
#
# Nothing here is written in place: a file appears whole under its name or not
# at all, because the power may go at any line.

root=${PIIMAGE_ROOT:-}
# shellcheck disable=SC2034 # for those who source this
payload=$root/opt/piimage
# shellcheck disable=SC2034
secrets=$root/etc/piimage/secrets
state=$root/var/lib/piimage

say() { printf 'piimage: %s\n' "$*"; }

# because STATUS MESSAGE: end a step; run.sh puts the message into the status.
because() {
  status_of_step=$1
  shift
  say "$*" >&2
  { mkdir -p "$root/run/piimage" && printf '%s\n' "$*" >"$root/run/piimage/reason"; } 2>/dev/null || :
  exit "$status_of_step"
}

# fail MESSAGE: it is tried again, a limited number of times.
fail() { because 1 "$@"; }
# later MESSAGE: something outside this node is not there yet.
later() { because 75 "$@"; }
# impossible MESSAGE: never on this node.
impossible() { because 78 "$@"; }

# own OWNER:GROUP FILE…; whoever lays out a tree without being root keeps it.
own() {
  if [ -z "$root" ] || [ "$(id -u)" -eq 0 ]; then chown "$@"; fi
}

# write_file MODE OWNER:GROUP TARGET: standard input becomes that file, or an error.
# The temporary name starts with a dot: sudoers.d, system-connections and
# systemd all skip such files, should one be left behind.
write_file() (
  folder=${3%/*}
  new=$folder/.${3##*/}.piimage-new
  mkdir -p "$folder" && rm -f "$new" || exit 1
  { (umask 077 && cat >"$new") && own "$2" "$new" && chmod "$1" "$new"; } || {
    rm -f "$new"
    exit 1
  }
  if [ ! -L "$3" ] && cmp -s "$new" "$3"; then
    rm -f "$new"
    own "$2" "$3" && chmod "$1" "$3"
    exit
  fi
  sync
  mv -f "$new" "$3" || {
    rm -f "$new"
    exit 1
  }
)

# put MODE OWNER:GROUP TARGET: the same, and a failure that is said.
put() {
  write_file "$@" || (fail "${3#"$root"} could not be written: $(free_megabytes /) MB are free")
}

# wipe FILE: zeros over all of it, on the medium.
wipe() (
  set -eu
  bytes=$(wc -c <"$1" | tr -d ' ')
  [ "$bytes" -eq 0 ] || dd if=/dev/zero of="$1" bs="$bytes" count=1 conv=notrunc 2>/dev/null
  sync
)

# put_link POINTS_TO TARGET
put_link() (
  set -eu
  [ "$(readlink "$2" 2>/dev/null || :)" = "$1" ] && exit 0
  mkdir -p "${2%/*}"
  new=${2%/*}/.${2##*/}.piimage-new
  rm -f "$new"
  ln -s "$1" "$new"
  mv -f "$new" "$2"
)

# set_line FILE PATTERN LINE: LINE takes the place of the first line that
# matches the extended regular expression, or goes to the end; further matches go.
set_line() (
  set -eu
  content=$(cat "$1" 2>/dev/null || :)
  printf '%s\n' "$content" | PATTERN=$2 LINE=$3 awk '
    NR == 1 && $0 == "" { next }
    $0 ~ ENVIRON["PATTERN"] { if (!put) print ENVIRON["LINE"]; put = 1; next }
    { print }
    END { if (!put) print ENVIRON["LINE"] }' | put 644 root:root "$1"
)

# set_block FILE: the block between our two markers becomes standard input;
# the rest of the file stays as it is.
set_block() (
  set -eu
  block=$(cat)
  {
    [ ! -e "$1" ] || awk '/^# BEGIN piimage$/ { ours = 1 } !ours { print } /^# END piimage$/ { ours = 0 }' "$1"
    printf '# BEGIN piimage\n%s\n# END piimage\n' "$block"
  } | put 644 root:root "$1"
)

# accounts COMMAND ARGUMENTS…: a tool that keeps /etc/passwd and its kin. They
# take a root folder by themselves.
accounts() {
  command=$1
  shift
  "$command" ${root:+-R "$root"} "$@" || fail "$command could not change the accounts: $(free_megabytes /) MB are free"
}

# has_unit NAME: whether the system has this systemd unit.
has_unit() {
  for unit_folder in /etc/systemd/system /lib/systemd/system /usr/lib/systemd/system; do
    [ ! -e "$root$unit_folder/$1" ] || return 0
  done
  return 1
}

# is_enabled NAME: whether some target wants this unit. Read from the links, so
# that it needs no running systemd.
is_enabled() {
  for unit_link in "$root"/etc/systemd/system/*.wants/"$1"; do
    [ ! -L "$unit_link" ] || return 0
  done
  return 1
}

# enable_unit NAME [INSTANCE]: by systemctl, or by hand where there is none.
enable_unit() (
  set -eu
  if command -v systemctl >/dev/null && systemctl ${root:+"--root=$root"} enable "$1"; then
    exit 0
  fi
  for folder in /etc/systemd/system /lib/systemd/system /usr/lib/systemd/system; do
    [ -e "$root$folder/$1" ] || continue
    put_link "$folder/$1" "$root/etc/systemd/system/multi-user.target.wants/$1"
    exit 0
  done
  fail "the system has no unit $1"
)

# disable_unit NAME: nothing to do where the system has no such unit.
disable_unit() (
  set -eu
  has_unit "$1" || exit 0
  if command -v systemctl >/dev/null && systemctl ${root:+"--root=$root"} disable "$1"; then
    exit 0
  fi
  rm -f "$root"/etc/systemd/system/*.wants/"$1"
)

# is_running: whether this is a system that has come up in the ordinary way.
# Under `systemd.run=` only the basics are up and a reboot follows, so what a
# step changes must not be started there.
is_running() {
  [ -z "$root" ] || return 1
  [ -d /run/systemd/system ] || return 1
  case " $(cat /proc/cmdline) " in *' systemd.run='*) return 1 ;; esac
}

# find_boot: where the FAT is mounted. The installer knows from its own path;
# later it is the first of the two places that holds a piimage folder.
find_boot() {
  if [ -n "${PIIMAGE_BOOT:-}" ]; then
    printf '%s\n' "$PIIMAGE_BOOT"
    return
  fi
  for boot_folder in /boot/firmware /boot; do
    if [ -d "$root$boot_folder/piimage" ]; then
      printf '%s\n' "$root$boot_folder"
      return
    fi
  done
}

# json_text TEXT: as the inside of a JSON string.
json_text() { printf '%s' "$1" | tr '\n\t\r' '   ' | tr -d '\001-\037\177' | sed 's/\\/\\\\/g; s/"/\\"/g'; }

# report STEP STATE [DETAIL]: what the first boot is doing: one JSON line for
# programs, one line above the login prompt, one on the console.
# STATE: running, retrying, waiting, failed, done.
# In memory first: a disk that is full must not keep us from saying so.
report() {
  report_time=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  report_line="${PIIMAGE_NODE:-this node}: $1 $2${3:+: $3}"
  say "$report_line"
  for report_place in "$root/run/piimage/status" "$state/status"; do
    printf '{"step":"%s","state":"%s","time":"%s","detail":"%s"}\n' \
      "$(json_text "$1")" "$2" "$report_time" "$(json_text "${3:-}")" | write_file 644 root:root "$report_place" || :
  done
  { printf '%s %s %s\n' "$report_time" "$1" "$2" >>"$state/history"; } 2>/dev/null || :
  printf 'piimage: %s\n\n' "$report_line" | write_file 644 root:root "$root/etc/issue.d/piimage.issue" || :
  # stdout is the journal; the person at the screen sees the console.
  [ -z "$root" ] || return 0
  { printf 'piimage: %s\n' "$report_line" >/dev/console; } 2>/dev/null || :
}

# run_logged NAME COMMAND…: its output goes to our stdout, to log/NAME.log, and
# for as long as the power is on to /run, which has room when the disk has none.
# Written so that the status is the command's, not tee's.
run_logged() (
  name=$1
  shift
  run_folder=$root/run/piimage
  mkdir -p "$state/log" "$run_folder"
  rm -f "$run_folder/$name.status" "$run_folder/$name.output"
  { "$@" 2>&1; echo $? >"$run_folder/$name.status"; } | tee -a "$state/log/$name.log" "$run_folder/$name.output"
  status=$(cat "$run_folder/$name.status" 2>/dev/null) || status=1
  return "${status:-1}"
)

# copy_log NAME: put the end of a log on the FAT, where a laptop can read why.
# A FAT that can't be written is no reason to fail.
copy_log() (
  boot=$(find_boot)
  [ -n "$boot" ] || exit 0
  {
    mkdir -p "$boot/piimage/log"
    tail -n 200 "$root/run/piimage/$1.output" >"$boot/piimage/log/$1.log"
    cp "$root/run/piimage/status" "$boot/piimage/log/status.json"
    sync
  } 2>/dev/null || :
)

# has_address IP: whether one of our interfaces has it.
has_address() { ip -4 -o addr show 2>/dev/null | grep -qwF "$1"; }

# apt_get ARGUMENTS…: apt-get without questions, with its dpkg put in order
# first, and with a failure said in one sentence.
apt_get() {
  apt_output=$root/run/piimage/apt.log
  mkdir -p "${apt_output%/*}"
  apt_status=0
  # Cut off in the middle of an installation, dpkg refuses to go on until told to; and
  # of a package that was half unpacked (a disk that was full), apt believes that it is there.
  {
    apt_again=
    if dpkg-query -W -f '${db:Status-Status} ${db:Status-Eflag}\n' 2>/dev/null | grep -Eq '^half-installed |reinstreq$'; then
      apt_again='-o APT::Get::ReInstall=true'
    fi
    # shellcheck disable=SC2086 # two words, or none
    { DEBIAN_FRONTEND=noninteractive dpkg --force-confold --configure -a || [ -n "$apt_again" ]; } &&
      DEBIAN_FRONTEND=noninteractive apt-get -q -y $apt_again -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
        -o APT::Update::Error-Mode=any -o Dpkg::Options::=--force-confold "$@"
  } >"$apt_output" 2>&1 </dev/null || apt_status=$?
  cat "$apt_output"
  [ "$apt_status" -ne 0 ] || return 0
  if grep -Eqi 'lock.* (was|is) (locked|held)|is locked by another|could not get lock' "$apt_output"; then
    later 'another program is installing packages, and this waits for it'
  fi
  fail "apt-get $1: $(apt_trouble "$apt_output")"
}

# apt_trouble LOG: why apt, or its helper, failed, for a person.
apt_trouble() {
  if grep -Eqi 'no space left|enough free space' "$1"; then
    echo "no space left ($(free_megabytes /var) MB free on /var)"
  elif grep -Eqi 'not (yet )?valid|not yet (valid|activated)' "$1"; then
    echo "the clock is wrong: it says $(date -u +%Y-%m-%dT%H:%MZ)"
  elif grep -Eqi 'is expired|expired certificate|certificate.* expired' "$1"; then
    echo "the archive is out of date, or the clock is wrong: it says $(date -u +%Y-%m-%dT%H:%MZ)"
  elif grep -Eqi 'gpg error|is not signed|badsig|no_pubkey|signatures? .*(invalid|verif)|certificate verification failed' "$1"; then
    echo 'the archive is not signed by the key it should be: is it the right mirror?'
  elif grep -Eqi 'hash sum mismatch|unexpected size' "$1"; then
    echo 'what came is not what the archive lists: a mirror or proxy that is behind?'
  elif grep -Eqi 'could not resolve|temporary failure|unreachable|could not connect|connection (failed|timed out|refused)|cannot initiate' "$1"; then
    echo 'no way to the archive: is there a network, and a name server?'
  elif grep -Eqi 'does not have a release file|404 +not found' "$1"; then
    echo 'there is nothing for this release at that address of the archive'
  elif grep -Eqi 'unmet dependencies|broken packages|dpkg was interrupted|error processing' "$1"; then
    echo 'the package database is in disorder: sudo apt-get -f install says more'
  elif grep -Eqi 'unable to locate package|no installation candidate' "$1"; then
    echo 'the archive has no such package for this release'
  else
    sed -n 's/^E: //p' "$1" | tail -n 1 | cut -c 1-200 | grep . || echo 'its output is in the log'
  fi
}

# check_key FILE FINGERPRINT: an archive's key must be this one, and the only one.
check_key() {
  # A fresh image has no package lists.
  command -v gpg >/dev/null || { apt_get update && apt_get install --no-install-recommends gpg; }
  # In memory: on a disk that is full, any key would look like a wrong one.
  gpg_home=$root/run/piimage/gpg
  (umask 077 && mkdir -p "$gpg_home")
  key_listing=$(gpg --homedir "$gpg_home" --batch --no-autostart --with-colons --import-options show-only --import "$1" 2>/dev/null) || key_listing=
  rm -rf "$gpg_home"
  key_found=$(printf '%s\n' "$key_listing" |
    awk -F: '$1 == "pub" { keys++ } $1 == "fpr" && !seen++ { print $10 } END { if (keys != 1) print "keys:" keys + 0 }')
  key_wanted=$(printf '%s' "$2" | tr -d ' ' | tr '[:lower:]' '[:upper:]')
  [ "$key_found" = "$key_wanted" ] ||
    fail "the archive's key is not $key_wanted: $(printf '%s' "$key_found" | tr '\n' ' ')"
}

# free_megabytes FOLDER
free_megabytes() { df -Pk "$root$1" | awk 'NR == 2 { print int($4 / 1024) }'; }

# mark FILE: it is there from now on, and empty; a step is never noted as done by halves.
mark() { put 644 root:root "$1" </dev/null; }

# install_debs FOLDER: packages that travelled in the payload, if they are whole.
install_debs() {
  (cd "$1" && sha256sum -c SHA256SUMS) || fail 'a package on the card is damaged: make the card again'
  apt_get install --no-install-recommends "$1"/*.deb
}

# fetch_file URL TARGET: by apt's own helper, which every image has, with https
# and the proxy that apt uses.
fetch_file() {
  fetch_output=$root/run/piimage/fetch.log
  mkdir -p "${2%/*}" "${fetch_output%/*}"
  rm -f "$2"
  if "$root/usr/lib/apt/apt-helper" download-file "$1" "$2" >"$fetch_output" 2>&1; then return 0; fi
  cat "$fetch_output"
  rm -f "$2"
  fail "$1 could not be fetched: $(apt_trouble "$fetch_output")"
}

# has_memory_cgroup: version 2 names the controllers that are on; version 1 has a table.
has_memory_cgroup() {
  controllers=$root/sys/fs/cgroup/cgroup.controllers
  if [ -e "$controllers" ]; then
    grep -qw memory "$controllers"
  else
    awk '$1 == "memory" && $4 == 1 { found = 1 } END { exit !found }' "$root/proc/cgroups" 2>/dev/null
  fi
}

# check_digest FILE: by the digest beside it.
check_digest() {
  (cd "${1%/*}" && sha256sum -c "${1##*/}.sha256") || fail "${1##*/} on the card is damaged: make the card again"
}

# take_secret NAME TARGET: a secret goes to where its program reads it, and stays nowhere else.
take_secret() {
  if [ -f "$secrets/$1" ]; then
    put 600 root:root "$2" <"$secrets/$1"
    rm -f "$secrets/$1"
  fi
  [ -s "$2" ] || fail "${2#"$root"} is missing, and so is what it is made from: make the card again"
}

# need_room MEGABYTES WHAT: flash fills slowly; better to know before.
need_room() {
  free=$(free_megabytes /var)
  [ "${free:-0}" -ge "$1" ] || fail "$2 needs $1 MB, and $free MB are free on /var"
}

# put_key NAME FINGERPRINT CARRIED URL: the key of a package archive becomes
# /etc/apt/keyrings/NAME.asc. It lies in the payload (CARRIED), or is fetched;
# either way it must be the one key that has the fingerprint.
put_key() {
  new=$root/run/piimage/$1.asc
  mkdir -p "${new%/*}"
  if [ -f "$3" ]; then cp "$3" "$new"; else fetch_file "$4" "$new"; fi
  check_key "$new" "$2"
  put 644 root:root "$root/etc/apt/keyrings/$1.asc" <"$new"
}

# join_swarm ADVERTISE HEAD:PORT: with the token on standard input, straight to
# Docker's socket: its command line takes a token only as an argument, which every
# process on the node can read. Perl is on each Debian. Prints why not, and fails.
join_swarm() {
  perl -e '
    use strict;
    use IO::Socket::UNIX;
    my ($path, $advertise, $head) = @ARGV;
    chomp(my $token = <STDIN>);
    $token =~ /^SWMTKN-[-0-9a-z]+$/ or die "that is no token\n";
    my $socket = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
    my $body = sprintf("{\"ListenAddr\":\"0.0.0.0:2377\",\"AdvertiseAddr\":\"%s\",\"RemoteAddrs\":[\"%s\"],\"JoinToken\":\"%s\"}",
      $advertise, $head, $token);
    printf $socket "POST /swarm/join HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
      length($body), $body;
    my $answer = do { local $/; <$socket> } || "";
    exit 0 if $answer =~ m{^HTTP/1\.[01] 200 };
    die(($answer =~ /"message":"((?:[^"\\]|\\.)*)"/ ? $1 : "Docker does not answer") . "\n");
  ' "${DOCKER_SOCKET:-/run/docker.sock}" "$1" "$2"
}
