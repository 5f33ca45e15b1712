/**
 * When the steps run that no overlay brings: the number in front of the file's name.
 *
 * Early steps run in install.sh, without network; network steps in the
 * first-boot unit. Steps of overlays give their own number; the gaps are
 * for users. A node can be reached as soon as 10–39 are done, whatever fails later.
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

export const networkOrder = { clock: 10 } as const

export type EarlyStep = keyof typeof earlyOrder
