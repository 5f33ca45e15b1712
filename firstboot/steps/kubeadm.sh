#!/bin/sh
# Kubernetes by kubeadm: the head makes the cluster, with an authority and a token
# that were chosen when the cards were made; the others join with that token,
# knowing the head by its authority.
set -eu
# shellcheck source=../lib.sh
. "$PIIMAGE_LIB"

kubernetes=$root/etc/kubernetes
settings=$root/etc/piimage/kubeadm.yaml
# An attempt was begun, the cluster was made: kubeadm itself can't tell a half one from a whole one.
# The first mark lies where the cluster's own files are: of a diskless node those outlast its root.
begun=$kubernetes/piimage.begun
made=$state/kubeadm.made

# The kubelet does not start on a system that swaps. Since trixie a generator
# makes swap in memory, and its settings lie ready.
swap_off() {
  disable_unit dphys-swapfile.service
  table=$root/etc/fstab
  if [ -f "$table" ] && awk '$1 !~ /^#/ && $3 == "swap" { found = 1 } END { exit !found }' "$table"; then
    awk '$1 !~ /^#/ && $3 == "swap" { printf "#" } { print }' "$table" | put 644 root:root "$table"
  fi
  if is_running; then swapoff -a; fi
}

install_packages() {
  if command -v kubeadm >/dev/null && command -v kubelet >/dev/null && command -v containerd >/dev/null; then return 0; fi
  need_room 1500 Kubernetes
  if [ -d "$payload/kubeadm/debs" ]; then
    install_debs "$payload/kubeadm/debs"
  else
    archive=$PIIMAGE_KUBEADM_MIRROR/$PIIMAGE_KUBEADM_MINOR/deb
    put_key kubernetes "$PIIMAGE_KUBEADM_FINGERPRINT" "$payload/kubeadm/key.asc" "$archive/Release.key"
    put 644 root:root "$root/etc/apt/sources.list.d/kubernetes.sources" <<SOURCE
Types: deb
URIs: $archive/
Suites: /
Signed-By: /etc/apt/keyrings/kubernetes.asc
SOURCE
    apt_get update
    # Docker's own containerd.io excludes the distribution's.
    runtime=containerd
    if command -v containerd >/dev/null; then runtime=; fi
    # shellcheck disable=SC2086 # no argument where there is one already
    apt_get install --no-install-recommends $runtime kubelet kubeadm kubectl
  fi
}

# A cluster is brought to another version on purpose, node by node.
hold_packages() {
  [ "$(apt-mark showhold | grep -cxE 'kubelet|kubeadm|kubectl')" -ne 3 ] || return 0
  apt-mark hold kubelet kubeadm kubectl || fail "the packages could not be held at their version: $(free_megabytes /var) MB are free"
}

# Kubelet and containerd must agree on who keeps the control groups.
configure_containerd() {
  new=$root/run/piimage/containerd.toml
  mkdir -p "${new%/*}"
  containerd config default | sed 's/^\( *SystemdCgroup *= *\)false/\1true/' >"$new"
  grep -q '^ *SystemdCgroup *= *true' "$new" || fail 'containerd has no setting SystemdCgroup: which version is it?'
  restart=yes
  if cmp -s "$new" "$root/etc/containerd/config.toml"; then
    ! is_running || ! systemctl -q is-active containerd.service || restart=no
  else
    put 644 root:root "$root/etc/containerd/config.toml" <"$new"
  fi
  if [ "$restart" = no ] || ! is_running; then return 0; fi
  systemctl restart containerd.service || fail 'containerd does not start: journalctl -u containerd says why'
}

# registration: what this node says about itself; part of both kinds of settings.
registration() {
  cat <<NODE
nodeRegistration:
  name: "$PIIMAGE_NODE"
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: [$(printf '%s' "${PIIMAGE_KUBEADM_IGNORE_PREFLIGHT:-}" | sed 's/  */, /g')]
  kubeletExtraArgs:
NODE
  # Beside the router's uplink, the kubelet would take the wrong address.
  if [ -n "${PIIMAGE_KUBEADM_ADDRESS:-}" ]; then printf '    - { name: node-ip, value: "%s" }\n' "$PIIMAGE_KUBEADM_ADDRESS"; fi
  if [ -n "${PIIMAGE_KUBEADM_LABELS:-}" ]; then printf '    - { name: node-labels, value: "%s" }\n' "$PIIMAGE_KUBEADM_LABELS"; fi
}

# Both have the token in them.
init_settings() {
  cat <<INIT
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
  - token: "$(cat "$secrets/kubeadm-token")"
    ttl: 24h0m0s
localAPIEndpoint:
  advertiseAddress: "$PIIMAGE_KUBEADM_HEAD_ADDRESS"
  bindPort: 6443
$(registration)
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: "$PIIMAGE_CLUSTER"
kubernetesVersion: "$(kubeadm version -o short)"
networking:
  podSubnet: $PIIMAGE_KUBEADM_POD_NETWORK
  serviceSubnet: 10.96.0.0/12
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
INIT
}

join_settings() {
  cat <<JOIN
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    apiServerEndpoint: "$PIIMAGE_KUBEADM_HEAD_ADDRESS:6443"
    token: "$(cat "$secrets/kubeadm-token")"
    caCertHashes: ["$(cat "$payload/material/cluster-ca-digest")"]
timeouts:
  discovery: 1m0s
$(registration)
JOIN
}

# start_over: kubeadm refuses what an attempt that was cut off left behind.
start_over() {
  if [ -e "$begun" ]; then
    kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock || fail 'what is left of the last attempt could not be cleared'
  fi
  mkdir -p "$kubernetes"
  : >"$begun"
  sync
}

make_cluster() {
  [ ! -e "$made" ] || return 0
  has_address "$PIIMAGE_KUBEADM_HEAD_ADDRESS" || later "this node does not have its address $PIIMAGE_KUBEADM_HEAD_ADDRESS yet"
  start_over
  # Clearing took them away, so each attempt brings its own.
  put 600 root:root "$kubernetes/pki/ca.key" <"$secrets/cluster-ca-key"
  put 644 root:root "$kubernetes/pki/ca.crt" <"$payload/material/cluster-ca"
  init_settings | put 600 root:root "$settings"
  kubeadm init --config "$settings" || fail 'kubeadm could not make the cluster: its last lines in the log say why'
  : >"$made"
  sync
}

# Pods reach each other by the interface of the cluster's network; left alone,
# flannel takes that of the default route, on a router the wrong one. Nobody has
# the network's own address, so the way to it is the same on each node.
put_flannel() {
  manifest=$payload/kubeadm/flannel.yml
  if [ -f "$manifest" ]; then
    check_digest "$manifest"
  else
    read -r wanted url <"$root/etc/piimage/flannel.sha256"
    manifest=$root/run/piimage/flannel.yml
    fetch_file "$url" "$manifest"
    found=$(sha256sum "$manifest" | cut -d ' ' -f 1)
    [ "$found" = "$wanted" ] || fail "the manifest of flannel that was fetched is not the one with the digest $wanted: it has $found"
  fi
  applied=$root/run/piimage/flannel-applied.yml
  reach=
  if [ -n "${PIIMAGE_KUBEADM_NETWORK:-}" ]; then reach="\n\1- --iface-can-reach=${PIIMAGE_KUBEADM_NETWORK%/*}"; fi
  sed "s|^\( *\)- --kube-subnet-mgr\$|&$reach|; s|\(\"Network\": *\"\)[0-9./]*|\1$PIIMAGE_KUBEADM_POD_NETWORK|" "$manifest" >"$applied"
  grep -q -e --kube-subnet-mgr "$applied" || fail "flannel's manifest has no --kube-subnet-mgr: is it kube-flannel.yml?"
  kubectl --kubeconfig "$kubernetes/admin.conf" apply -f "$applied" || fail 'flannel could not be set up: does the API answer?'
}

join_cluster() {
  [ ! -e "$made" ] || return 0
  # Made again, with its volume: it is in, and the token may have ended long ago.
  if [ -s "$kubernetes/kubelet.conf" ] && [ ! -e "$begun" ]; then
    enable_unit kubelet.service
    systemctl --no-block restart kubelet.service
    : >"$made"
    return 0
  fi
  start_over
  join_settings | put 600 root:root "$settings"
  kubeadm join --config "$settings" ||
    later "the head ($PIIMAGE_KUBEADM_HEAD_ADDRESS) has not taken this node in yet; if its token has ended, a day after the cluster was made: sudo kubeadm token create TOKEN there, with the one in /etc/piimage/secrets/kubeadm-token here"
  : >"$made"
  sync
}

[ "$(dpkg --print-architecture)" = arm64 ] || impossible 'Kubernetes left 32-bit ARM with 1.27: kubeadm needs a 64-bit image; k3s runs on ARMv7'
has_memory_cgroup ||
  impossible 'the kernel has no memory control group, without which the kubelet does not start: is cgroup_enable=memory in cmdline.txt?'
swap_off
install_packages
hold_packages
configure_containerd
enable_unit containerd.service
enable_unit kubelet.service
is_running || exit 0

modprobe -a overlay br_netfilter || fail 'the kernel has no overlay or br_netfilter'
sysctl -q -p /etc/sysctl.d/90-piimage-kubernetes.conf
if [ "$PIIMAGE_ROLE" = head ]; then
  make_cluster
  put_flannel
else
  join_cluster
fi
rm -f "$settings" "$begun" "$secrets/kubeadm-token" "$secrets/cluster-ca-key"
say 'this node is in the cluster'
