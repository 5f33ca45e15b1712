/**
 * Programs of others that the steps ask, as shell scripts that keep what they
 * know in files: of `/var/lib/lab` on the disk, like Docker and kubeadm, or of
 * `/run/rig`, where a test says what the world is like.
 */
import { createHash } from 'node:crypto'

export const digestOf = (text: string) => createHash('sha256').update(text).digest('hex')
export const SWARM_TOKEN = `SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)}`
export const K3S = '#!/bin/sh\nexit 0\n'
export const FLANNEL = '"Network": "10.244.0.0/16"\n        - --kube-subnet-mgr\n'

/** A Docker whose swarm, secrets and labels outlive the power. */
export const DOCKER = `know=/var/lib/lab/docker
mkdir -p $know
keep() { { cat >$know/$1.new && mv $know/$1.new $know/$1; } 2>/dev/null || { echo "Error response from daemon: write $know: no space left on device" >&2; exit 1; }; }
state=$(cat $know/state 2>/dev/null) || state=inactive
[ ! -e /run/rig/docker-off ] || exit 1
case "$*" in
  *LocalNodeState*ControlAvailable*) if [ $state = active ]; then echo active/true; else echo inactive/false; fi ;;
  *LocalNodeState*) echo $state ;;
  *ControlAvailable*) echo true ;;
  *Swarm.NodeID*) echo o ;;
  'swarm init --help') echo --default-addr-pool ;;
  'swarm init '*) echo active | keep state ;;
  'swarm join-token --rotate '*) echo rotated | keep token ;;
  'secret inspect '*) [ -e $know/secret ] ;;
  'secret create '*) keep secret ;;
  'stack deploy '*) if [ -e /run/rig/deploy-fails ]; then exit 1; fi; [ -e $know/stack ] || echo deployed | keep stack ;;
  'node ls '*) cat /run/rig/nodes ;;
  *Platform*) echo aarch64 ;;
  *Spec.Role*) cat $know/role-$5 2>/dev/null || echo worker ;;
  *Spec.Labels*) cat $know/labels-$5 2>/dev/null || : ;;
  'node update --label-add '*) { cat $know/labels-$5 2>/dev/null; echo "$4"; } | keep labels-$5 ;;
  'node promote '*) echo manager | keep role-$3 ;;
esac`

/** Docker's socket, as the step asks it. */
export const PERL = `cat >/dev/null
if [ -e /run/rig/clock-wrong ]; then echo 'x509: certificate has expired or is not yet valid' >&2; exit 1; fi
echo active | { cat >/var/lib/lab/docker/state.new && mv /var/lib/lab/docker/state.new /var/lib/lab/docker/state; } 2>/dev/null || {
  echo 'no space left on device' >&2; exit 1; }`

export const KUBEADM = `case $1 in
  version) echo v1.34.2 ;;
  reset) rm -rf /etc/kubernetes ;;
  init) mkdir -p /etc/kubernetes; echo admin >/etc/kubernetes/admin.conf || exit 1 ;;
  join)
    [ ! -e /run/rig/head-off ] || { echo 'error: couldn not reach the API server' >&2; exit 1; }
    [ ! -e /run/rig/clock-wrong ] || { echo 'error: x509: certificate has expired or is not yet valid' >&2; exit 1; }
    mkdir -p /etc/kubernetes; echo kubelet >/etc/kubernetes/kubelet.conf || exit 1 ;;
esac`

/** Links by hand, as systemctl does in an image; whether a service is up is a fact. */
export const SYSTEMCTL = `case $* in
  *is-active*) [ ! -e /run/rig/head-off ] ;;
  *enable\\ *) for unit; do :; done; link=/etc/systemd/system/multi-user.target.wants/$unit
    mkdir -p "\${link%/*}" && { [ -L "$link" ] || ln -s "/etc/systemd/system/$unit" "$link"; } ;;
  *disable\\ *) for unit; do :; done; rm -f /etc/systemd/system/*.wants/"$unit" ;;
esac`
