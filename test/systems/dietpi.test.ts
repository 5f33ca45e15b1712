/** DietPi's files, read as its own scripts read them: sed for dietpi.txt, bash for dietpi-wifi.txt. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { bootFilesOf, bytesOf } from '../../src/boot/boot-files.ts'
import type { Node } from '../../src/cluster/node.ts'
import { type Overlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { planServed } from '../../src/customise/plan-served.ts'
import { UsageError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { Secret } from '../../src/secret.ts'
import { keys, makeCluster, makeNode, PSK, use } from '../customise/cluster.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

let overlays: Map<string, Overlay>
before(async () => {
  overlays = await readOverlays([join(packageRoot(), 'overlays')])
})

const stockText = [
  '# AUTO_SETUP_NET_HOSTNAME=of a comment',
  'AUTO_SETUP_GLOBAL_PASSWORD=dietpi',
  'AUTO_SETUP_LOCALE=C.UTF-8',
  '  AUTO_SETUP_KEYBOARD_LAYOUT=gb',
  'AUTO_SETUP_NET_ETHERNET_ENABLED=1',
  'AUTO_SETUP_NET_WIFI_ENABLED=0',
  'AUTO_SETUP_NET_USESTATIC=0',
  'AUTO_SETUP_NET_HOSTNAME=DietPi',
  'AUTO_SETUP_NET_HOSTNAME=twice',
  '#AUTO_SETUP_TIMEZONE=UTC',
  'AUTO_SETUP_SSH_SERVER_INDEX=-1',
  'AUTO_SETUP_AUTOMATED=0',
  'CONFIG_SERIAL_CONSOLE_ENABLE=1',
  '',
].join('\r\n')
const stock: Record<string, string> = {
  'cmdline.txt': 'root=PARTUUID=cafe0002-02 rootfstype=ext4 rootwait net.ifnames=0 console=tty1\n',
  'config.txt': 'auto_initramfs=1\n',
  'dietpi.txt': stockText,
  'dietpi-wifi.txt':
    "# Entry 0\naWIFI_SSID[0]=''\naWIFI_KEY[0]=''\naWIFI_KEYMGR[0]='WPA-PSK'\naWIFI_SSID[1]=''\n",
}

const request = (node: Partial<Node>, texts: Record<string, string> = {}) => {
  const made = makeNode(node)
  const boot = Object.entries({ ...stock, ...texts }).map(([path, text]) => [path, bytesOf(text)] as const)
  return {
    ...{ cluster: makeCluster([made]), node: made, overlays, keys, boot: bootFilesOf(new Map(boot)) },
    image: { key: 'dietpi-trixie-arm64-rpi@2026-02-14', version: '2026-02-14', arch: 'arm64' as const },
  }
}

/** The changed files in a folder, and what the scripts' own lines make of them. */
async function cardOf(t: TestContext, node: Partial<Node>, texts?: Record<string, string>) {
  const folder = tempFolder(t)
  const { files, warnings } = await planBoot(request(node, texts))
  for (const { path, after } of files) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    if (after !== null) writeFileSync(join(folder, path), after)
  }
  const settings = join(folder, 'dietpi.txt')
  return {
    folder,
    warnings,
    paths: files.map(({ path }) => path),
    // How it takes a value, and how it asks for a switch.
    value: (key: string) =>
      run('sed', ['-n', `/^[[:blank:]]*${key}=/{s/^[^=]*=//p;q}`, settings]).stdout.replace(/\n$/, ''),
    isOn: (key: string) => run('grep', ['-cm1', `^[[:blank:]]*${key}=1`, settings]).stdout === '1\n',
    wifi: () =>
      run('bash', [
        '-c',
        '. "$0"; printf "%s|%s|%s" "$aWIFI_SSID" "$aWIFI_KEY" "$aWIFI_KEYMGR"',
        join(folder, 'dietpi-wifi.txt'),
      ]).stdout,
  }
}

test('the facts are in its own keys, once each, and without carriage returns', async (t) => {
  const card = await cardOf(t, {})
  const said = {
    AUTO_SETUP_NET_HOSTNAME: 'oneil',
    AUTO_SETUP_TIMEZONE: 'Europe/Berlin',
    AUTO_SETUP_LOCALE: 'en_GB.UTF-8',
    AUTO_SETUP_KEYBOARD_LAYOUT: 'de',
    AUTO_SETUP_NET_STATIC_IP: '172.19.181.1',
    AUTO_SETUP_NET_STATIC_MASK: '255.255.255.0',
    AUTO_SETUP_NET_STATIC_GATEWAY: '172.19.181.254',
    AUTO_SETUP_NET_STATIC_DNS: '172.19.181.254',
    AUTO_SETUP_SSH_SERVER_INDEX: '-2',
    SOFTWARE_DISABLE_SSH_PASSWORD_LOGINS: '1',
    AUTO_SETUP_GLOBAL_PASSWORD: 'dietpi',
    CONFIG_SERIAL_CONSOLE_ENABLE: '1',
  }
  for (const [key, value] of Object.entries(said)) assert.equal(card.value(key), value, key)
  for (const key of ['NET_ETHERNET_ENABLED', 'NET_USESTATIC', 'AUTOMATED'])
    assert.ok(card.isOn(`AUTO_SETUP_${key}`), key)
  assert.ok(!card.isOn('AUTO_SETUP_NET_WIFI_ENABLED'))
  const names = run('grep', ['-c', '^AUTO_SETUP_NET_HOSTNAME=', join(card.folder, 'dietpi.txt')])
  assert.equal(names.stdout, '1\n')
  assert.equal(run('grep', ['-c', '\r', join(card.folder, 'dietpi.txt')]).stdout, '0\n')
  // Its own first boot has these; the steps that would ask for others are not there.
  assert.ok(!card.paths.some((path) => /early\.d\/\d+-(ssh|network)\.sh/.test(path)))
  assert.deepEqual(card.warnings, [])
})

test('Wi-Fi alone: in the file that bash reads, with quotes in its name', async (t) => {
  if (needTool(t, 'bash', 'bash') === undefined) return
  const wifi = { ssid: 'Jack\'s $(id) "Gate"', psk: new Secret(PSK), country: 'US', hidden: false }
  const overlayNames = ['hostname', 'user', 'wifi']
  const card = await cardOf(t, { wifi, interfaces: [], overlays: overlayNames.map((name) => use(name)) })
  assert.equal(card.wifi(), `${wifi.ssid}|${PSK}|WPA-PSK`)
  assert.ok(card.isOn('AUTO_SETUP_NET_WIFI_ENABLED'))
  assert.ok(!card.isOn('AUTO_SETUP_NET_ETHERNET_ENABLED'))
  assert.equal(card.value('AUTO_SETUP_NET_WIFI_COUNTRY_CODE'), 'US')
  const open = await cardOf(t, {
    ...{ wifi: { ssid: 'open', country: 'US', hidden: false }, interfaces: [] },
    overlays: overlayNames.map((name) => use(name)),
  })
  assert.equal(open.wifi(), 'open||NONE')
  const two = await cardOf(t, {
    ...{ wifi: { ...wifi, others: [{ ssid: 'second', hidden: true }] }, interfaces: [] },
    overlays: overlayNames.map((name) => use(name)),
  })
  const second = run('grep', ['-E', '\\[1\\]=', join(two.folder, 'dietpi-wifi.txt')]).stdout
  assert.equal(second, "aWIFI_SSID[1]='second'\naWIFI_KEY[1]=''\naWIFI_KEYMGR[1]='NONE'\n")
})

test('a second cable comes by ifupdown, the first by DietPi', async (t) => {
  const second = { name: 'eth1', address: { ip: '10.9.0.1', prefix: 24 }, dns: [] }
  const card = await cardOf(t, { interfaces: [...makeNode().interfaces, second] })
  assert.ok(card.paths.includes('piimage/network/eth1.interfaces'))
  assert.ok(!card.paths.some((path) => path.startsWith('piimage/network/eth0')))
  assert.equal(card.value('AUTO_SETUP_NET_STATIC_IP'), '172.19.181.1')
})

test('its script before the network starts the payload, wherever the FAT is mounted', async (t) => {
  const card = await cardOf(t, {})
  for (const mount of ['boot', 'boot/firmware']) {
    const root = tempFolder(t)
    mkdirSync(join(root, mount, 'piimage'), { recursive: true })
    writeFileSync(join(root, mount, 'piimage/install.sh'), 'echo started "$0"\n')
    const script = join(card.folder, 'Automation_Custom_PreScript.sh')
    const there = run('sed', [`s# /boot# ${root}/boot#g`, script]).stdout
    assert.equal(run('sh', ['-s'], { input: there }).stdout, `started ${root}/${mount}/piimage/install.sh\n`)
  }
  const own = await cardOf(t, {}, { 'Automation_Custom_PreScript.sh': '#!/bin/sh\necho mine\n' })
  assert.match(own.warnings.join(), /own Automation_Custom_PreScript\.sh is replaced/)
})

const refusals: { name: string; node: Partial<Node>; says: RegExp }[] = [
  {
    name: 'the account of its own programs',
    node: { user: { name: 'dietpi', sshKeys: ['ssh-ed25519 AAAA x'], sudoPassword: false } },
    says: /^dietpi is the account of DietPi's own programs/,
  },
  {
    name: 'passwords by ssh, with one that everybody knows',
    node: { user: { name: 'ops', passwordHash: new Secret('$6$a$b'), sshKeys: [], sudoPassword: false } },
    says: /^ssh with passwords would let anybody in as dietpi/,
  },
  {
    name: 'a static address without a gateway',
    node: { interfaces: [{ name: 'eth0', address: { ip: '10.0.0.2', prefix: 24 }, dns: [] }] },
    says: /^eth0 has a static address without a gateway/,
  },
  {
    name: 'WPA3 alone',
    node: {
      ...{
        wifi: { ssid: 'x', sae: new Secret('pass phrase'), country: 'US', hidden: false },
        interfaces: [],
      },
      overlays: [use('wifi')],
    },
    says: /^DietPi has no word for WPA3/,
  },
]
for (const { name, node, says } of refusals)
  test(`refused: ${name}`, async () => {
    await assert.rejects(planBoot(request(node)), (error: Error) => {
      assert.ok(error instanceof UsageError, error.stack)
      assert.match(error.message, says)
      return true
    })
  })

test('a password that somebody changed lets ssh take passwords, but not for root', async (t) => {
  const user = { name: 'ops', passwordHash: new Secret('$6$a$b'), sshKeys: [], sudoPassword: false }
  const text = stockText.replace('PASSWORD=dietpi', 'PASSWORD=chevron seven')
  const card = await cardOf(t, { user }, { 'dietpi.txt': text })
  assert.equal(card.value('SOFTWARE_DISABLE_SSH_PASSWORD_LOGINS'), 'root')
  assert.equal(card.value('AUTO_SETUP_GLOBAL_PASSWORD'), 'chevron seven')
})

test('by network it is refused', async () => {
  await assert.rejects(planServed(request({ boot: 'net' }), 'eth0'), /DietPi is known only on cards/)
})
