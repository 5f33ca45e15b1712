/** A radio with several networks joins the first that is in reach, and stays with it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rig } from './rig.ts'

const keyfile = (name: string, device: string) =>
  `[connection]\nid=piimage-${name}\ninterface-name=${device}\n`
const SECRETS = 'etc/piimage/secrets/network'

for (const [inReach, asked] of [
  [['eth0', 'wlan0', 'wlan0_2'], 'eth0 wlan0'],
  [['wlan0_2', 'wlan0_3'], 'eth0 wlan0 wlan0_2'],
  [['eth0'], 'eth0 wlan0 wlan0_2 wlan0_3'],
] as const)
  test(`in reach: ${inReach.join(', ')}`, async (t) => {
    const rig = await Rig.open(t)
    if (rig === undefined) return
    rig.layStep('network', {})
    rig.lay({
      'etc/systemd/system/multi-user.target.wants/NetworkManager.service': '->/dev/null',
      'opt/piimage/network/eth0.nmconnection': keyfile('eth0', 'eth0'),
      [`${SECRETS}/wlan0.nmconnection`]: keyfile('wlan0', 'wlan0'),
      [`${SECRETS}/wlan0_2.nmconnection`]: keyfile('wlan0_2', 'wlan0'),
      [`${SECRETS}/wlan0_3.nmconnection`]: keyfile('wlan0_3', 'wlan0'),
    })
    const known = inReach.map((name) => `piimage-${name}`).join('|')
    rig.program(
      'nmcli',
      `case $1 in connection) exit 0 ;; esac\nfor last; do :; done\ncase $last in ${known}) ;; *) exit 4 ;; esac`,
    )
    rig.comeUp()
    const ran = await rig.boot()
    assert.equal(rig.status().state, 'done', ran.output)
    const calls = rig.takeCalls().flatMap((call) => / connection up piimage-(\S+)/.exec(call)?.[1] ?? [])
    assert.deepEqual(calls.join(' '), asked)
  })
