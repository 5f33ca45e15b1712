/**
 * What must be set on the boards themselves before they boot from the network:
 * boot.conf for those with an EEPROM, and what to do once for older ones.
 *
 * Comments stand on lines of their own: the boot loader knows no others.
 *
 * Source: Raspberry Pi documentation, "Raspberry Pi boot EEPROM" (BOOT_ORDER,
 * TFTP_PREFIX, TFTP_IP), "Network booting" and "OTP register and bit definitions".
 */
import { type Board, boards } from '../cluster/boards.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { formatHeading } from './heading.ts'

/** What one kind of board needs. */
export interface BoardAdvice {
  nodes: string[]
  /** Whether `text` is a boot.conf; otherwise there are only comments in it. */
  isBootConf: boolean
  /** Ends in a newline. */
  text: string
}

/** One entry for each kind of board that is treated alike, in file order. */
export function planEeprom(cluster: Cluster, nodes: readonly Node[] = cluster.nodes): BoardAdvice[] {
  const kinds = new Map<string, Node[]>()
  for (const node of nodes) {
    const key = `${node.model} ${node.boot} ${node.clusterHat?.role === 'slot'}`
    kinds.set(key, [...(kinds.get(key) ?? []), node])
  }
  return [...kinds.values()].map((alike) => advise(cluster, alike))
}

function advise(cluster: Cluster, nodes: readonly Node[]): BoardAdvice {
  const names = nodes.map(({ name }) => name)
  const [node] = nodes as [Node]
  const model = boards[node.model]
  const isBootConf = node.boot === 'net' && model.eeprom
  const body = isBootConf ? bootConf(cluster, node) : comment(recipe(node, model))
  const what = isBootConf ? 'boot.conf' : 'boot settings'
  return {
    nodes: names,
    isBootConf,
    text: [
      formatHeading(what, cluster, 'export eeprom'),
      `# For ${names.join(', ')}: ${model.title}`,
      ...body,
      '',
    ].join('\n'),
  }
}

const comment = (lines: readonly string[]): string[] => lines.map((line) => `# ${line}`)

function bootConf(cluster: Cluster, node: Node): string[] {
  const { layout, server, outside } = cluster.netroot
  const serverAddress =
    outside?.ip ?? cluster.nodes.find(({ name }) => name === server)?.interfaces[0]?.address?.ip
  const compute = boards[node.model].computeModule
  const lines = [
    ...comment(
      compute
        ? [
            "Put this into usbboot's recovery folder as boot.conf (recovery5 for a CM5), run update-pieeprom.sh there,",
            'then rpiboot -d on that folder; or on a running module: sudo rpi-eeprom-config --apply boot.conf',
          ]
        : [
            'On the board, started once from a card with Raspberry Pi OS:',
            '  sudo rpi-eeprom-config --apply boot.conf && sudo reboot',
          ],
    ),
    '[all]',
    ...comment([
      'Tried from the right: 1 a card (or eMMC), so that a rescue card still wins; 2 the network; f start over,',
      'for ever, so that a board that was switched on before its server waits for it.',
    ]),
    'BOOT_ORDER=0xf21',
    ...comment([
      layout === 'mac'
        ? "2: the board's files lie in a folder named after its MAC address (netroot.layout: mac)."
        : "0: the board's files lie in a folder named after its serial number (netroot.layout: serial).",
    ]),
    `TFTP_PREFIX=${layout === 'mac' ? 2 : 0}`,
    ...comment(['Milliseconds for one file; twice the default, for many boards that start at once.']),
    'TFTP_FILE_TIMEOUT=60000',
  ]
  if (cluster.network?.dhcp === 'proxy' && serverAddress !== undefined)
    lines.push(
      ...comment([
        `${server}: somebody else's DHCP server gives out the addresses and may name another server.`,
      ]),
      `TFTP_IP=${serverAddress}`,
    )
  return lines
}

/** Boards without an EEPROM, and those that start from a card. */
function recipe(node: Node, model: Board): string[] {
  if (node.clusterHat?.role === 'slot')
    return node.boot === 'net'
      ? ['Nothing to set: without a card in it, a board in a ClusterHAT slot boots over USB.']
      : ['Nothing to set: it starts from its card.']
  if (node.boot === 'card')
    return [
      model.eeprom
        ? 'Nothing to set: it starts from its card, as BOOT_ORDER=0xf41 from the factory says.'
        : 'Nothing to set: it starts from its card.',
    ]
  switch (model.netboot) {
    case 'rom':
      return ['Nothing to set: it boots from the network when no card and no USB drive is in it.']
    case 'otp':
      return [
        'Once for each board, and never undone: start it from a card whose config.txt holds the line',
        '  program_usb_boot_mode=1',
        '(piimage bake --otp --all makes the image of such a card)',
        'and look whether that worked: vcgencmd otp_dump | grep 17: must say 17:3020000a. Then take the line out',
        'of config.txt again, so that the card does not do it to the next board, and start without a card.',
      ]
    default:
      return [
        'This board has no network boot of its own. Give it a small card with one FAT file system and one file:',
        'the newest bootcode.bin of any Raspberry Pi OS image (piimage bake --bootcode --all makes the image of it).',
        'It fetches everything else from the server.',
        ...(model.otpFromRevision === null
          ? []
          : [
              `(A ${model.title.replace('Raspberry ', '')} of revision ${model.otpFromRevision} needs no card once program_usb_boot_mode=1 was set, as a Pi 3 does.)`,
            ]),
      ]
  }
}
