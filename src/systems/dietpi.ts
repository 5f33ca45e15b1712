/**
 * DietPi for the Raspberry Pi.
 *
 * Its own first boot reads `dietpi.txt` line by line and sets accounts, network,
 * ssh and language from it, over whatever was there: so those facts are said in
 * its own keys. Before that, and before there is a network, it runs
 * `Automation_Custom_PreScript.sh`, which starts the payload.
 *
 * It knows one network, a cable or Wi-Fi. Of a node with both, the cable is set
 * up. Further cables come by ifupdown, which it uses itself.
 *
 * The accounts `root` and `dietpi` are its programs' own and stay; the password
 * of both is AUTO_SETUP_GLOBAL_PASSWORD, which is known to everybody unless
 * somebody changed it: ssh takes none for that reason.
 *
 * Source: MichaIng/DietPi, `dietpi.txt`, `rootfs/var/lib/dietpi/services/dietpi-firstboot.bash`,
 * `dietpi/func/dietpi-wifidb`. Not tried on a board.
 */
import { type BootFiles, bytesOf, readText } from '../boot/boot-files.ts'
import { PRESCRIPT } from '../boot/payload-paths.ts'
import { netmaskOf } from '../cluster/ipv4.ts'
import { UsageError } from '../errors.ts'
import type { SystemFacts } from '../node/state.ts'
import type { DetectedOs } from '../node/system.ts'
import { dietpiSetting, withDietpiSettings } from './dietpi-txt.ts'
import type { OsFamily } from './family.ts'
import { type NetworkProfile, networksOf, type WifiAccess } from './network/profile.ts'
import { profilesOf } from './profiles.ts'
import { readSigns } from './raspios-release.ts'
import { debianRoot } from './root/debian.ts'
import {
  acceptsPasswords,
  hostKeySettings,
  radioSettings,
  scriptLocale,
  scriptNetwork,
  scriptUser,
} from './scripted.ts'
import { joinSettings, type Settings } from './settings.ts'
import { startByPreScript } from './start.ts'

const SETTINGS_FILE = 'dietpi.txt'
const WIFI_FILE = 'dietpi-wifi.txt'

/** Told by where the FAT is mounted: Raspberry Pi's kernel packages of Bookworm and later want /boot/firmware. */
interface Layout {
  release: string
  bootMount: DetectedOs['bootMount']
}
const inBoot: Layout = { release: 'bullseye', bootMount: '/boot' }
const inFirmware: Layout = { release: 'bookworm', bootMount: '/boot/firmware' }
const layouts: readonly Layout[] = [inBoot, inFirmware]

const describe = ({ release, bootMount }: Layout, evidence: string[]): DetectedOs => ({
  family: 'dietpi',
  release,
  evidence,
  traits: { cloudInit: false, kernel: 6 },
  bootMount,
  trigger: PRESCRIPT,
})

export const dietpi: OsFamily = {
  name: 'dietpi',
  releases: layouts.map(({ release }) => release),

  async recognise(boot) {
    const { names, config } = await readSigns(boot)
    if (!names.includes(SETTINGS_FILE)) return undefined
    const line = 'auto_initramfs=1'
    return config.includes(line)
      ? describe(inFirmware, [SETTINGS_FILE, `config.txt: ${line}`])
      : describe(inBoot, [SETTINGS_FILE])
  },

  async assume(_boot, release) {
    const layout = layouts.find((candidate) => candidate.release === release)
    if (layout === undefined) throw new Error(`no layout ${release} of DietPi`)
    return describe(layout, ['given by hand'])
  },

  async settle(state, { boot }, medium) {
    const { node, facts } = state
    if (medium === 'net') throw notServed(node.name)
    if (facts.user?.name === 'dietpi') throw ownAccount()
    const text = (await readText(boot, SETTINGS_FILE)) ?? ''
    const { first, others, warnings } = await chooseNetwork(facts)
    const keys = {
      ...factKeys(facts),
      ...sshKeys(facts, text),
      ...(first === undefined ? {} : networkKeys(first, facts)),
      // Without somebody at the board.
      AUTO_SETUP_AUTOMATED: '1',
    }
    return joinSettings(
      hostKeySettings(facts),
      radioSettings(facts),
      facts.hostname === undefined ? {} : { early: ['hostname'] },
      scriptUser(facts),
      scriptLocale(facts),
      scriptNetwork({ network: others }, node.name),
      { seed: new Map([[SETTINGS_FILE, bytesOf(withDietpiSettings(text, keys))]]), warnings },
      first?.wifi === undefined ? {} : await wifiFile(first.wifi, boot),
      await replacedPreScript(boot),
    )
  },

  start: () => startByPreScript(),
  served: debianRoot,
}

const factKeys = ({ hostname, locale }: SystemFacts): Record<string, string> =>
  given({
    AUTO_SETUP_NET_HOSTNAME: hostname,
    AUTO_SETUP_TIMEZONE: locale?.timezone,
    AUTO_SETUP_LOCALE: locale?.locale,
    AUTO_SETUP_KEYBOARD_LAYOUT: locale?.keymap,
  })

const given = (keys: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(keys).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )

const PASSWORD = 'AUTO_SETUP_GLOBAL_PASSWORD'

/** OpenSSH, which reads the node's host key; Dropbear is there until DietPi's first run has installed it. */
function sshKeys(facts: SystemFacts, text: string): Record<string, string> {
  if (facts.ssh === undefined) return {}
  const open = acceptsPasswords(facts)
  if (open && (dietpiSetting(text, PASSWORD) ?? 'dietpi') === 'dietpi') throw knownPassword()
  return {
    AUTO_SETUP_SSH_SERVER_INDEX: '-2',
    SOFTWARE_DISABLE_SSH_PASSWORD_LOGINS: open ? 'root' : '1',
  }
}

/** The port that DietPi itself sets up, and those that it knows nothing of. */
async function chooseNetwork(
  facts: SystemFacts,
): Promise<{ first?: NetworkProfile; others: NonNullable<SystemFacts['network']>; warnings: string[] }> {
  const profiles = profilesOf(facts)
  const wired = profiles.filter(({ wifi }) => wifi === undefined)
  const radio = profiles.find(({ wifi }) => wifi !== undefined)
  const first = wired[0] ?? radio
  const others = (facts.network ?? []).filter(({ name }) => name !== first?.name && name !== radio?.name)
  const both = wired.length > 0 && radio?.wifi !== undefined
  return {
    first,
    others,
    warnings: both
      ? [
          `DietPi runs a cable or Wi-Fi, not both: ${first?.name} is set up, and the Wi-Fi ${radio.wifi?.ssid} is not`,
        ]
      : [],
  }
}

function networkKeys(
  { name, address, dns, wifi }: NetworkProfile,
  { wifi: radio }: SystemFacts,
): Record<string, string> {
  if (address !== undefined && address.gateway === undefined)
    throw new UsageError(`${name} has a static address without a gateway, and DietPi needs one`, {
      hint: 'Name it: network: { gateway: … }, or let the router give the address.',
    })
  return given({
    AUTO_SETUP_NET_ETHERNET_ENABLED: wifi === undefined ? '1' : '0',
    AUTO_SETUP_NET_WIFI_ENABLED: wifi === undefined ? '0' : '1',
    AUTO_SETUP_NET_WIFI_COUNTRY_CODE: radio?.country,
    AUTO_SETUP_NET_USESTATIC: address === undefined ? '0' : '1',
    AUTO_SETUP_NET_STATIC_IP: address?.ip,
    AUTO_SETUP_NET_STATIC_MASK: address === undefined ? undefined : netmaskOf(address.prefix),
    AUTO_SETUP_NET_STATIC_GATEWAY: address?.gateway,
    AUTO_SETUP_NET_STATIC_DNS: address === undefined || dns.length === 0 ? undefined : dns.join(' '),
  })
}

/** What dietpi-wifidb has room for. */
const WIFI_SLOTS = 5

/** Shell, which dietpi-wifidb reads. It tries hidden networks, too, and takes the strongest. */
async function wifiFile(wifi: WifiAccess, boot: BootFiles): Promise<Partial<Settings>> {
  const networks = networksOf(wifi)
  const wpa3 = networks.find(({ psk, sae }) => psk === undefined && sae !== undefined)
  if (wpa3 !== undefined)
    throw new UsageError(`DietPi has no word for WPA3, which the Wi-Fi ${wpa3.ssid} is given with`, {
      hint: 'Let the access point take WPA2, too, and give its pass phrase for that; or use the cable.',
    })
  if (networks.length > WIFI_SLOTS)
    throw new UsageError(
      `DietPi has room for ${WIFI_SLOTS} Wi-Fi networks, and there are ${networks.length}`,
      {
        hint: 'Take some out of wifi:.',
      },
    )
  const quoted = (value: string) => `'${value.replaceAll("'", "'\\''")}'`
  const keys = networks.map(({ ssid, psk }, slot) => ({
    [`aWIFI_SSID[${slot}]`]: quoted(ssid),
    [`aWIFI_KEY[${slot}]`]: quoted(psk?.reveal() ?? ''),
    [`aWIFI_KEYMGR[${slot}]`]: psk === undefined ? "'NONE'" : "'WPA-PSK'",
  }))
  const text = (await readText(boot, WIFI_FILE)) ?? ''
  const edited = withDietpiSettings(text, Object.assign({}, ...keys) as Record<string, string>)
  return { seed: new Map([[WIFI_FILE, bytesOf(edited)]]) }
}

async function replacedPreScript(boot: BootFiles): Promise<Partial<Settings>> {
  const there = await readText(boot, PRESCRIPT)
  return there === undefined ? {} : { warnings: [`the image's own ${PRESCRIPT} is replaced: it is not run`] }
}

const ownAccount = (): UsageError =>
  new UsageError("dietpi is the account of DietPi's own programs, which set its password anew", {
    hint: 'Choose another name for user:.',
  })

const knownPassword = (): UsageError =>
  new UsageError(
    `ssh with passwords would let anybody in as dietpi, whose password is ${PASSWORD} in dietpi.txt, as shipped`,
    { hint: `Give the user a key (sshKeys:), or change ${PASSWORD} in the image's dietpi.txt.` },
  )

const notServed = (node: string): UsageError =>
  new UsageError(`${node} is to boot by network, and DietPi is known only on cards`, {
    hint: 'Take boot: net away from it, or give it an image of Raspberry Pi OS.',
  })
