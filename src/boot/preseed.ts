/**
 * rpi-preseed.toml: what Raspberry Pi's rpi-preseed sets up on the boot after,
 * in the place of cloud-init. Its units belong to multi-user.target, so a first
 * boot that `systemd.run=` starts comes before them; what the file then says of
 * the same host name, accounts and network would come over it.
 *
 * Source: raspberrypi/rpi-preseed, `systemd/` and `src/lib/`.
 */

export const PRESEED = 'rpi-preseed.toml'

const WRITTEN_BY_US = '# Written by piimage'

/** A file that it takes without a fault, and that sets nothing. */
export const emptyPreseed = (): string =>
  `${WRITTEN_BY_US}, which has set this node up: rpi-preseed has nothing left to do.\nconfig_version = "1.0"\n`

/** Its settings as `section.key`, in order; none in one of ours. Values may reach over several lines, and begin with a quote there. */
export function preseedKeys(text: string): string[] {
  const keys: string[] = []
  if (text.startsWith(WRITTEN_BY_US)) return keys
  let section = ''
  for (const line of text.split(/\r?\n/)) {
    const head = /^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(?:#.*)?$/.exec(line)?.[1]
    if (head !== undefined) section = `${head}.`
    const key = /^\s*([A-Za-z0-9_-]+)\s*=/.exec(line)?.[1]
    if (key !== undefined && key !== 'config_version') keys.push(`${section}${key}`)
  }
  return keys
}
