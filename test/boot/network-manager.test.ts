/**
 * The keyfiles of piimage, read by NetworkManager itself on a booted card in
 * the way of Bookworm. Slow, see first-boot.test.ts; needs the packages that
 * test/fixtures/arm64-debs.gen.sh downloads.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { bootCard } from './booted-card.ts'
import { flashCard } from './flashed-card.ts'
import { addNetworkManager } from './with-network-manager.ts'

const address = '172.19.181.1'
const psk = 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e'

test('NetworkManager takes the addresses and the Wi-Fi of the cluster file', async (t) => {
  const image = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  const debs = needEnv(t, 'PIIMAGE_NM_DEBS', 'no packages of NetworkManager')
  if (image === undefined || debs === undefined || !needRoot(t)) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['mcopy', 'mtools'],
    ['debugfs', 'e2fsprogs'],
    ['dpkg-deb', 'dpkg'],
    ['ssh', 'openssh-client'],
  ] as const) {
    if (needTool(t, tool, name) === undefined) return
  }
  const folder = tempFolder(t)
  const made = await flashCard(image, folder, 'systemd.run', address, {
    adapt: (path) => addNetworkManager(path, debs, folder),
    settings: `wifi: { ssid: 'Cheyenne; Mountain', psk: ${psk}, country: US }`,
  })
  const node = await bootCard({ ...made, folder, address, user: 'ops' })
  try {
    await node.waitForConsole(/piimage: oneil: firstboot done/, 600_000)
    const says = async (command: string) => {
      const ran = await node.ssh(command)
      assert.equal(ran.status, 0, `${command}: ${ran.stderr}`)
      return ran.stdout.trim()
    }
    assert.equal(await says('hostname'), 'oneil')
    assert.equal(await says('systemctl is-active NetworkManager'), 'active')
    assert.equal((await node.ssh('systemctl is-active systemd-networkd')).stdout.trim(), 'inactive')
    assert.equal(
      await says('nmcli -g GENERAL.CONNECTION,IP4.ADDRESS,IP4.GATEWAY device show eth0'),
      `piimage-eth0\n${address}/24\n172.19.181.254`,
    )
    assert.equal(
      await says('nmcli -g ipv4.method,ipv4.dns-search connection show piimage-eth0'),
      'manual\nsgc.lan',
    )
    assert.match(await says('ip route show default'), /via 172\.19\.181\.254 dev eth0 proto static/)
    const wifi = '802-11-wireless'
    const asked = `connection.interface-name,${wifi}.ssid,${wifi}-security.key-mgmt,${wifi}-security.psk,ipv4.method`
    assert.equal(
      await says(`sudo nmcli -s -g ${asked} connection show piimage-wlan0`),
      `wlan0\nCheyenne; Mountain\nwpa-psk\n${psk}\nauto`,
    )
    assert.equal(
      await says('sudo stat -c "%a %U" /etc/NetworkManager/system-connections/*'),
      '600 root\n600 root',
    )
    await node.shutdown()
  } finally {
    node.kill()
    if (process.env.PIIMAGE_KEEP_CONSOLE !== undefined)
      run('cp', [join(folder, 'console.log'), `${process.env.PIIMAGE_KEEP_CONSOLE}-network-manager.log`])
    rmSync(made.card, { force: true })
  }
})
