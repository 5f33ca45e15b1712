#!/bin/sh
# Docker, from wherever this board and this release can have it: what the image
# brings, packages that lie in the payload, Docker's own archive, or the
# distribution's. /etc/docker/daemon.json is there already, so that the daemon's
# very first start takes its addresses from our pool.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

# docker_source CPU ARCHITECTURE ID CODENAME: where packages come from.
# CPU as uname -m says it, ARCHITECTURE as dpkg does, ID and CODENAME from
# os-release. A Zero's packages are called armhf like those of a Pi 4, so the
# CPU decides first; and a 64-bit kernel may stand below a 32-bit system.
# Prints one of:
#   docker DISTRIBUTION   a folder of Docker's archive
#   pinned DISTRIBUTION   the same, at the last versions that run on ARMv6
#   distribution          docker.io
#   none REASON
docker_source() {
  case $3/$2/$1 in
    # Nothing of Ubuntu's runs on ARMv6.
    ubuntu/arm64/* | ubuntu/amd64/* | ubuntu/armhf/*) echo 'docker ubuntu' && return ;;
    *) ;;
  esac
  case $4 in
    buster | bullseye | bookworm | trixie) ;;
    wheezy | jessie | stretch) echo "none Docker has no packages for $4" && return ;;
    # Newer than this table: Docker's archive knows Debian's releases.
    *) ;;
  esac
  case $2/$1 in
    armhf/armv6*)
      # Docker's archive has no ARMv6 for trixie; its armhf there is ARMv7.
      case $4 in
        buster | bullseye | bookworm) echo 'pinned raspbian' ;;
        *) echo 'distribution' ;;
      esac
      ;;
    armhf/*)
      case $3/$4 in
        raspbian/buster | raspbian/bullseye | raspbian/bookworm) echo 'docker raspbian' ;;
        *) echo 'docker debian' ;;
      esac
      ;;
    arm64/* | amd64/*) echo 'docker debian' ;;
    *) echo "none Docker has no packages for $2" ;;
  esac
}

# of_release KEY: a value of os-release.
of_release() { sed -n "s/^$1=//p" "$root/etc/os-release" | tr -d '"' | head -n 1; }

has_docker() { command -v dockerd >/dev/null && command -v docker >/dev/null; }

# from_archive KIND DISTRIBUTION CODENAME ARCHITECTURE
from_archive() {
  put_key docker "$PIIMAGE_DOCKER_FINGERPRINT" "$payload/docker/key.asc" "$PIIMAGE_DOCKER_MIRROR/linux/$2/gpg"
  put 644 root:root "$root/etc/apt/sources.list.d/docker.sources" <<SOURCE
Types: deb
URIs: $PIIMAGE_DOCKER_MIRROR/linux/$2
Suites: $3
Components: stable
Architectures: $4
Signed-By: /etc/apt/keyrings/docker.asc
SOURCE
  # Later builds end with an illegal instruction on ARMv6.
  if [ "$1" = pinned ]; then
    put 644 root:root "$root/etc/apt/preferences.d/docker.pref" <<PINS
Package: containerd.io
Pin: version 1.7.27*
Pin-Priority: 1001

Package: docker-ce docker-ce-cli
Pin: version 5:28.0.1*
Pin-Priority: 1001
PINS
  fi
  apt_get update
  apt_get install --no-install-recommends docker-ce docker-ce-cli containerd.io
}

# The command line is a package of its own since trixie.
from_distribution() {
  apt_get update
  cli=
  if apt-cache show docker-cli 2>/dev/null | grep -q '^Package: docker-cli$'; then cli=docker-cli; fi
  # shellcheck disable=SC2086 # no argument where there is no such package
  apt_get install --no-install-recommends docker.io $cli iptables ca-certificates
}

install_docker() {
  has_docker && return 0
  need_room 500 Docker
  if [ -d "$payload/docker/debs" ]; then
    install_debs "$payload/docker/debs"
  else
    codename=$(of_release VERSION_CODENAME)
    architecture=$(dpkg --print-architecture)
    source=$(docker_source "$(uname -m)" "$architecture" "$(of_release ID)" "$codename")
    [ "$PIIMAGE_DOCKER_SOURCE" = auto ] || [ "${source%% *}" = none ] || source=$PIIMAGE_DOCKER_SOURCE
    case $source in
      none*) impossible "${source#none }" ;;
      distribution) from_distribution ;;
      docker)
        distribution=debian
        [ "$(of_release ID)" != ubuntu ] || distribution=ubuntu
        from_archive docker "$distribution" "$codename" "$architecture"
        ;;
      *) from_archive "${source% *}" "${source#* }" "$codename" "$architecture" ;;
    esac
  fi
  has_docker || fail 'the packages are installed, and there is still no dockerd'
}

start_docker() {
  is_running || return 0
  systemctl start docker.service || fail 'the Docker daemon does not start: journalctl -u docker says why'
  waited=0
  while ! docker info >/dev/null 2>&1; do
    [ "$waited" -lt 180 ] || fail 'the Docker daemon does not answer: journalctl -u docker says why'
    sleep 2
    waited=$((waited + 2))
  done
}

install_docker
# Whoever is in that group is root.
if [ "${PIIMAGE_DOCKER_GROUP:-false}" = true ] && [ -n "${PIIMAGE_USER:-}" ]; then
  awk -F: -v user="$PIIMAGE_USER" '$1 == "docker" && (","$4",") ~ ("," user ",") { found = 1 } END { exit !found }' "$root/etc/group" ||
    accounts usermod -aG docker "$PIIMAGE_USER"
fi
if has_unit docker.service; then enable_unit docker.service; fi
has_memory_cgroup ||
  say 'warning: the kernel has no memory control group: limits on memory have no effect (overlay cgroups)'
start_docker
