/**
 * What a ClusterCTRL image does to its boot partition on the one boot that its
 * `init=… reconfig-clusterctrl ROLE` asks for. Two generations of the script:
 * that of 2019, below /sbin, cuts cmdline.txt off from ` init=` on; later ones
 * take out the role alone. Both put the image's own `init=` at the end of each
 * line, and switch lines of config.txt on and off by the role.
 *
 * Source: burtyb/clusterhat-image, files/sbin/ and files/usr/sbin/reconfig-clusterctrl.
 */
export interface BootTexts {
  cmdline: string
  config: string
}

/** The first argument that PID 1 gets: what follows `init=` and is no parameter of the kernel, of systemd or of a module. */
export function roleHandedOver(cmdline: string): string | undefined {
  const tokens = cmdline.trim().split(' ')
  const at = tokens.findIndex((token) => token.startsWith('init='))
  return tokens.slice(at + 1).find((token) => !/[=.]/.test(token))
}

/** @param ownInit the script that grows the root file system, which the image starts next */
export function reconfigure({ cmdline, config }: BootTexts, ownInit: string): BootTexts {
  const role = roleHandedOver(cmdline) ?? ''
  if (!/^(?:cnat|cbridge|p(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-2]))$/.test(role))
    throw new Error(`no role: ${role}`)
  const isOld = cmdline.includes(' init=/sbin/')
  const lines = cmdline
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.replace(' console=ttyGS0', ''))
    .map((line) =>
      isOld
        ? line.replace(/ init=.*/, '')
        : line.replace(/ init=\/usr\/sbin\/reconfig-clusterctrl (?:cbridge|cnat|p[0-9]+)/, ''),
    )
    .map((line) => `${line} init=${ownInit}\n`)
  const isNode = role.startsWith('p')
  const switched = config
    .split('\n')
    .map((line) =>
      isNode
        ? line.replace(/^#dtoverlay=dwc2.*$/, 'dtoverlay=dwc2,dr_mode=peripheral')
        : line.replace(/^dtoverlay=dwc2.*$/, '#dtoverlay=dwc2,dr_mode=peripheral'),
    )
    .map((line) =>
      isNode
        ? line.replace(/^otg_mode=1 # Controller only$/, '#otg_mode=1 # Controller only')
        : line.replace(/^#otg_mode=1 # Controller only$/, 'otg_mode=1 # Controller only'),
    )
  return { cmdline: lines.join(''), config: switched.join('\n') }
}
