/** The router with real dnsmasq, iptables and dockerd: a client behind it, a server beyond it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCluster, makeNode, use } from '../customise/cluster.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool } from '../support/tools.ts'
import { Lab, mustRun, until } from './lab.ts'

const clientMac = 'e4:5f:01:fc:aa:29'
const head = makeNode({
  name: 'caspar',
  role: 'head',
  interfaces: [{ name: 'eth0', address: { ip: '10.3.50.1', prefix: 24 }, dns: [] }],
  router: { uplink: 'wlan0', lan: 'eth0' },
  overlays: ['docker', 'router'].map((name) => use(name)),
})
const client = makeNode({
  name: 'balthasar',
  mac: clientMac,
  interfaces: [{ name: 'eth0', address: { ip: '10.3.50.11', prefix: 24 }, dns: [] }],
  overlays: [],
})
const cluster = makeCluster([head, client], {
  network: {
    cidr: '10.3.50.0/24',
    dns: ['10.3.50.1'],
    domain: 'magi.lan',
    dhcp: { from: '10.3.50.100', to: '10.3.50.199', lease: '12h' },
  },
})

/** The world outside: it knows the router's uplink and nothing behind it. */
function connectOutside(t: TestContext, lab: Lab): void {
  lab.addNetwork('out')
  const out = lab.netns('out')
  const link = ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wlan0', 'netns', lab.netns('caspar')]
  mustRun('ip', ['-n', out, ...link])
  mustRun('ip', ['-n', out, 'addr', 'add', '203.0.113.1/24', 'dev', 'eth0'])
  mustRun('ip', ['-n', out, 'link', 'set', 'eth0', 'up'])
  mustRun('ip', ['-n', lab.netns('caspar'), 'addr', 'add', '203.0.113.2/24', 'dev', 'wlan0'])
  mustRun('ip', ['-n', lab.netns('caspar'), 'link', 'set', 'wlan0', 'up'])
  const folder = tempFolder(t)
  writeFileSync(join(folder, 'index.html'), 'the world\n')
  const server = spawn(
    'nsenter',
    [`--net=/run/netns/${out}`, 'busybox', 'httpd', '-f', '-p', '80', '-h', folder],
    {
      stdio: 'ignore',
    },
  )
  t.after(() => void server.kill())
}

/** What a client does with a lease, and nothing about this machine's own name servers. */
function leaseScript(t: TestContext): string {
  const path = join(tempFolder(t), 'lease')
  writeFileSync(
    path,
    `#!/bin/sh
[ "$1" = bound ] || exit 0
echo "lease $ip $router $dns $domain"
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
ip route replace default via "$router"
`,
  )
  chmodSync(path, 0o755)
  return path
}

/** The unit's command, as systemd runs it: at boot, and each time that Docker starts. */
const runUnit = `$(sed -n 's/^ExecStart=//p' /etc/systemd/system/piimage-nat.service)`

test('a client gets its address, finds the nodes by name and reaches the world; also after restarts', async (t) => {
  for (const [tool, debianPackage] of [
    ['dnsmasq', 'dnsmasq-base'],
    ['busybox', 'busybox-static'],
  ] as const)
    if (needTool(t, tool, debianPackage) === undefined) return
  const lab = await Lab.open(t, cluster)
  if (lab === undefined) return
  connectOutside(t, lab)
  // The package's unit, which dnsmasq-base comes without.
  const units = join(lab.node('caspar').folder, 'extra/etc/systemd/system')
  mkdirSync(units, { recursive: true })
  writeFileSync(
    join(units, 'dnsmasq.service'),
    '[Service]\nExecStart=/usr/sbin/dnsmasq\n[Install]\nWantedBy=multi-user.target\n',
  )
  lab.powerOn('caspar')
  await until(`the router is set up`, 60, () => lab.hasFinished('caspar'))

  const inside = (command: string) => {
    const ran = lab.inside('caspar', command)
    assert.equal(ran.status, 0, `${command}: ${ran.stderr}`)
    return ran.stdout
  }
  const startDnsmasq =
    'dnsmasq --conf-file=/etc/dnsmasq.d/piimage-router.conf --no-resolv --pid-file=/run/dnsmasq.pid'
  // The unit is ordered after Docker.
  inside('until docker info >/dev/null 2>&1; do sleep 0.2; done')
  inside('sysctl -q -p /etc/sysctl.d/90-piimage-router.conf')
  inside(runUnit)
  inside(startDnsmasq)

  const script = leaseScript(t)
  mustRun('ip', ['-n', lab.netns('balthasar'), 'addr', 'flush', 'dev', 'eth0'])
  mustRun('ip', ['-n', lab.netns('balthasar'), 'link', 'set', 'eth0', 'address', clientMac])
  const asClient = (...words: string[]) => {
    const ran = lab.inNetwork('balthasar', 'busybox', words)
    assert.equal(ran.status, 0, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`)
    return ran.stdout
  }
  const judge = () => {
    assert.match(
      asClient('udhcpc', '-i', 'eth0', '-n', '-q', '-s', script),
      /^lease 10\.3\.50\.11 10\.3\.50\.1 10\.3\.50\.1 magi\.lan$/m,
    )
    for (const [name, ip] of [
      ['caspar.magi.lan', '10.3.50.1'],
      ['balthasar.magi.lan', '10.3.50.11'],
      ['caspar', '10.3.50.1'],
    ] as const)
      assert.match(
        asClient('nslookup', name, '10.3.50.1'),
        new RegExp(`Address.*: ${ip.replaceAll('.', '\\.')}\\b`),
      )
    assert.equal(asClient('wget', '-q', '-O', '-', 'http://203.0.113.1/'), 'the world\n')
  }
  judge()
  const rules = () => inside('iptables-save | sed "/^#/d; s/\\[.*//"')
  const before = rules()
  assert.match(before, /-A PIIMAGE-NAT -s 10\.3\.50\.0\/24 ! -o eth0 -j MASQUERADE/)
  inside(runUnit)
  assert.deepEqual(rules().split('\n'), before.split('\n'), 'run again, the same rules')

  inside('kill $(cat /run/docker.pid); while [ -e /run/docker.pid ]; do sleep 0.1; done')
  // Docker at its worst: it finds forwarding off, switches it on and closes it for others.
  inside('iptables -P FORWARD DROP')
  inside(
    '(dockerd --storage-driver vfs >>/var/log/dockerd.log 2>&1 &) ; sleep 1; until docker info >/dev/null 2>&1; do sleep 0.2; done',
  )
  inside(runUnit)
  inside('kill $(cat /run/dnsmasq.pid); sleep 0.3')
  inside(startDnsmasq)
  judge()
  assert.match(inside('iptables -S FORWARD'), /-P FORWARD DROP\n-A FORWARD -j PIIMAGE-FORWARD/)

  // The rules let nobody in who was not asked.
  mustRun('ip', ['-n', lab.netns('out'), 'route', 'add', '10.3.50.0/24', 'via', '203.0.113.2'])
  const outsider = lab.inNetwork('out', 'busybox', ['ping', '-c', '1', '-W', '1', '10.3.50.11'])
  assert.notEqual(outsider.status, 0)
})
