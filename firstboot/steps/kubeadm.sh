#!/bin/sh
# Kubernetes by kubeadm. The head makes the cluster under an authority that was
# made beforehand; a worker joins with a token from its card once the head
# answers with a certificate of that authority, and with nobody else.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

head=$PIIMAGE_KUBEADM_HEAD_ADDRESS
pki=$root/etc/kubernetes/pki
# The form of kubeadm's own files changed with 1.31.
form=v1beta4
[ "${PIIMAGE_KUBEADM_VERSION#1.}" -ge 31 ] || form=v1beta3

[ "$(dpkg --print-architecture)" != armhf ] || impossible 'Kubernetes left 32-bit ARM with 1.27: this node needs an arm64 image'

# Kubernetes counts memory by this controller, and kubelet does not start without it.
controllers=$root/sys/fs/cgroup/cgroup.controllers
if [ -e "$controllers" ]; then
  grep -qw memory "$controllers" || fail 'the kernel has no memory control group: is the overlay cgroups on, and did the node boot since?'
fi

# Raspberry Pi OS has two ways of swapping, by release.
no_swap() {
  for unit in dphys-swapfile.service rpi-swap.service; do disable_unit "$unit"; done
  if [ -f "$root/etc/fstab" ] && awk '$3 == "swap" && $1 !~ /^#/ { found = 1 } END { exit !found }' "$root/etc/fstab"; then
    awk '$3 == "swap" && $1 !~ /^#/ { print "#" $0; next } { print }' "$root/etc/fstab" | put 644 root:root "$root/etc/fstab"
  fi
  if is_running; then swapoff -a; fi
}

# A key is armoured in the archive, and apt takes it so.
put_archive() {
  folder=$PIIMAGE_KUBEADM_MIRROR/v$PIIMAGE_KUBEADM_VERSION/deb
  new=$root/run/piimage/kubernetes.asc
  mkdir -p "${new%/*}"
  rm -f "$new"
  if [ -f "$payload/kubernetes/key.asc" ]; then
    cp "$payload/kubernetes/key.asc" "$new"
  else
    "$root/usr/lib/apt/apt-helper" download-file "$folder/Release.key" "$new" ||
      fail "the key of $folder could not be fetched: is there a network, and is it $(date -u +%Y-%m-%d)?"
  fi
  if [ -n "${PIIMAGE_KUBEADM_FINGERPRINT:-}" ]; then check_key "$new" "$PIIMAGE_KUBEADM_FINGERPRINT"; fi
  put 644 root:root "$root/etc/apt/keyrings/kubernetes.asc" <"$new"
  put 644 root:root "$root/etc/apt/sources.list.d/kubernetes.sources" <<SOURCE
Types: deb
URIs: $folder/
Suites: /
Signed-By: /etc/apt/keyrings/kubernetes.asc
SOURCE
}

install_kubernetes() {
  if command -v kubeadm >/dev/null && command -v kubelet >/dev/null && command -v containerd >/dev/null; then return 0; fi
  put_archive
  apt_get update
  # Docker brings a containerd of its own, which excludes the distribution's.
  runtime=containerd
  if command -v containerd >/dev/null; then runtime=; fi
  # shellcheck disable=SC2086 # no argument where there is one already
  apt_get install --no-install-recommends $runtime kubelet kubeadm kubectl cri-tools conntrack
  apt-mark hold kubelet kubeadm kubectl >/dev/null
}

# systemd owns the control groups; two owners would take memory from each other.
configure_containerd() {
  settings=$root/etc/containerd/config.toml
  mkdir -p "$root/run/piimage"
  containerd config default | sed 's/SystemdCgroup = false/SystemdCgroup = true/' >"$root/run/piimage/containerd.toml"
  grep -q 'SystemdCgroup = true' "$root/run/piimage/containerd.toml" || fail 'this containerd has no setting SystemdCgroup'
  if cmp -s "$settings" "$root/run/piimage/containerd.toml"; then return 0; fi
  put 644 root:root "$settings" <"$root/run/piimage/containerd.toml"
  is_running || return 0
  systemctl restart containerd.service
}

# The token goes through a file of root's: arguments can be read by every process.
init() {
  if [ ! -e "$root/etc/kubernetes/admin.conf" ]; then
    [ -n "$root" ] || has_address "$head" || later "this node's address $head is not there yet"
    put 644 root:root "$pki/ca.crt" <"$payload/material/cluster-ca"
    put 600 root:root "$pki/ca.key" <"$secrets/cluster-ca-key"
    token=$(cat "$secrets/kubeadm-token")
    put 600 root:root "$root/etc/piimage/kubeadm.yaml" <<SETTINGS
apiVersion: kubeadm.k8s.io/$form
kind: InitConfiguration
bootstrapTokens:
  - token: $token
    ttl: 24h0m0s
localAPIEndpoint:
  advertiseAddress: $head
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: [$(printf '%s' "${PIIMAGE_KUBEADM_IGNOREPREFLIGHT:-}" | tr ' ' ',')]
---
apiVersion: kubeadm.k8s.io/$form
kind: ClusterConfiguration
networking:
  podSubnet: $PIIMAGE_KUBEADM_PODNETWORK
SETTINGS
    kubeadm init --config "$root/etc/piimage/kubeadm.yaml" || fail 'kubeadm init failed: its last lines are in the log'
  fi
  pod_network
  rm -f "$root/etc/piimage/kubeadm.yaml" "$secrets/kubeadm-token" "$secrets/cluster-ca-key"
}

# Only what has the digest, or came on the card, is applied.
pod_network() {
  manifest=$payload/kubernetes/flannel.yml
  if [ -n "${PIIMAGE_KUBEADM_FLANNELURL:-}" ]; then
    [ -n "${PIIMAGE_KUBEADM_FLANNELSHA256:-}" ] || impossible 'kubeadm: flannelUrl needs flannelSha256'
    manifest=$root/var/lib/piimage/flannel.yml
    rm -f "$manifest"
    "$root/usr/lib/apt/apt-helper" download-file "$PIIMAGE_KUBEADM_FLANNELURL" "$manifest" || fail "$PIIMAGE_KUBEADM_FLANNELURL could not be fetched"
    found=$(sha256sum "$manifest" | cut -d ' ' -f 1)
    [ "$found" = "$PIIMAGE_KUBEADM_FLANNELSHA256" ] || fail "$PIIMAGE_KUBEADM_FLANNELURL has the digest $found, not the one in the cluster file"
  fi
  [ -f "$manifest" ] || return 0
  KUBECONFIG=$root/etc/kubernetes/admin.conf kubectl apply -f "$manifest" || fail 'the pod network could not be applied'
}

join() {
  if [ ! -e "$root/etc/kubernetes/kubelet.conf" ]; then
    token=$(cat "$secrets/kubeadm-token")
    digest=$(cat "$payload/material/cluster-ca-digest")
    put 600 root:root "$root/etc/piimage/kubeadm.yaml" <<SETTINGS
apiVersion: kubeadm.k8s.io/$form
kind: JoinConfiguration
discovery:
  bootstrapToken:
    token: $token
    apiServerEndpoint: $head:6443
    caCertHashes: ["$digest"]
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: [$(printf '%s' "${PIIMAGE_KUBEADM_IGNOREPREFLIGHT:-}" | tr ' ' ',')]
SETTINGS
    kubeadm join --config "$root/etc/piimage/kubeadm.yaml" || later "the head at $head does not take this node yet"
  fi
  rm -f "$root/etc/piimage/kubeadm.yaml" "$secrets/kubeadm-token"
}

no_swap
install_kubernetes
if is_running; then
  modprobe -a overlay br_netfilter
  sysctl -q -p /etc/sysctl.d/90-piimage-kubernetes.conf
fi
configure_containerd
for unit in containerd.service kubelet.service; do if has_unit "$unit"; then enable_unit "$unit"; fi; done
if [ "$PIIMAGE_ROLE" = head ]; then init; else join; fi
