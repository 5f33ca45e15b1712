/**
 * When each shipped step runs: the number in front of its file's name.
 *
 * Early steps run in install.sh, without network; network steps in the
 * first-boot unit. Steps of users' overlays give their own number; the gaps are
 * theirs. A node can be reached as soon as 10–39 are done, whatever fails later.
 */
export const earlyOrder = {
  hostname: 10,
  'host-keys': 15,
  user: 20,
  ssh: 25,
  wifi: 30,
  network: 35,
  locale: 40,
} as const

export const networkOrder = {
  clock: 10,
  router: 20,
  docker: 30,
  swarm: 50,
  kubeadm: 50,
  k3s: 50,
  portainer: 60,
  // Waits for every other node, so it comes last.
  'swarm-gather': 95,
} as const

export type EarlyStep = keyof typeof earlyOrder
