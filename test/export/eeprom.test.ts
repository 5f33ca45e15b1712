import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planEeprom } from '../../src/export/eeprom.ts'
import { formatHosts } from '../../src/export/hosts.ts'
import { made, story } from './support.ts'

/** The settings of a boot.conf as the boot loader reads them: a comment takes a whole line. */
const settingsOf = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

const mac = (n: number) => `"dc:a6:32:00:00:0${n}"`
const cases: { name: string; text: string; expected: [nodes: string, settings: string[], says: RegExp][] }[] =
  [
    {
      name: 'a Pi 4 and a Pi 5 by serial number',
      text: `nodes:
  a: { model: pi4, boot: net, mac: ${mac(1)} }
  b: { model: pi4, boot: net, mac: ${mac(2)} }
  c: { model: pi5, boot: net, mac: ${mac(3)} }
  d: { model: pi4 }
`,
      expected: [
        [
          'a b',
          ['[all]', 'BOOT_ORDER=0xf21', 'TFTP_PREFIX=0', 'TFTP_FILE_TIMEOUT=60000'],
          /--apply boot\.conf/,
        ],
        ['c', ['[all]', 'BOOT_ORDER=0xf21', 'TFTP_PREFIX=0', 'TFTP_FILE_TIMEOUT=60000'], /Raspberry Pi 5/],
        ['d', [], /0xf41/],
      ],
    },
    {
      name: "a Compute Module by MAC, next to somebody else's DHCP server",
      text: `network: { cidr: 192.168.1.0/24, dns: [192.168.1.1], dhcp: proxy }
join: { kind: none, head: h }
netroot: { layout: mac }
nodes:
  h: { model: pi4, address: 192.168.1.100/24 }
  m: { model: cm4, boot: net, mac: ${mac(1)} }
`,
      expected: [
        ['h', [], /0xf41/],
        [
          'm',
          ['[all]', 'BOOT_ORDER=0xf21', 'TFTP_PREFIX=2', 'TFTP_FILE_TIMEOUT=60000', 'TFTP_IP=192.168.1.100'],
          /usbboot/,
        ],
      ],
    },
    {
      name: 'older boards',
      text: `nodes:
  a: { model: pi3b, boot: net, mac: ${mac(1)} }
  b: { model: pi3b+, boot: net, mac: ${mac(2)} }
  c: { model: pi2, image: raspios-bookworm-armhf-lite@2025-05-13, boot: net, mac: ${mac(3)} }
  h: { model: pi3b+, clusterhat: cnat }
  z: { model: zero2w, clusterhat: p1, boot: net }
`,
      expected: [
        ['a', [], /program_usb_boot_mode=1[\s\S]*17:3020000a/],
        ['b', [], /Nothing to set: it boots from the network/],
        ['c', [], /bootcode\.bin[\s\S]*revision 1\.2/],
        ['h', [], /starts from its card/],
        ['z', [], /over USB/],
      ],
    },
  ]

for (const { name, text, expected } of cases)
  test(`eeprom: ${name}`, async () => {
    const kinds = planEeprom(await made(text))
    assert.deepEqual(
      kinds.map(({ nodes, text }) => [nodes.join(' '), settingsOf(text)]),
      expected.map(([nodes, settings]) => [nodes, settings]),
    )
    for (const [index, kind] of kinds.entries()) {
      assert.match(kind.text, expected[index]?.[2] ?? /never/)
      assert.equal(kind.isBootConf, settingsOf(kind.text).length > 0)
      for (const line of kind.text.split('\n')) assert.ok(line.length <= 120, line)
    }
  })

test('hosts: a name once, inside the cluster', async () => {
  const lines = (text: string) => text.trim().split('\n').slice(1)
  assert.deepEqual(lines(formatHosts(await story('chappa-ai'))), [
    '172.19.181.254 hammond.chappa.ai hammond',
    '# from outside hammond is 192.168.42.10',
    '172.19.181.1 oneil.chappa.ai oneil',
    '172.19.181.2 carter.chappa.ai carter',
    '172.19.181.3 tealc.chappa.ai tealc',
    '172.19.181.4 danieljackson.chappa.ai danieljackson',
  ])
  assert.deepEqual(lines(formatHosts(await made('nodes:\n  a: { model: pi4 }\n'))), [
    '# a asks for its address by DHCP',
  ])
})
