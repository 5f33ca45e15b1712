/**
 * Firewalls on the server: real rule sets in a network of their own, a board that
 * asks through them, and the script that opens and shuts them.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openingLines, shutOut } from '../../src/servers/firewall.ts'
import { FIREWALL_SCRIPT, renderFirewall } from '../../src/servers/open-firewall.ts'
import { readFirewall } from '../../src/servers/read-firewall.ts'
import { renderServers } from '../../src/servers/render.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { NetLab } from './net-lab.ts'
import { servedCluster, servedNode } from './served-cluster.ts'

const served = servedCluster()
const all = ['udp 67', 'udp 69', 'udp 61000-61199', 'tcp 111', 'tcp 2049', 'tcp 20048']

const WORKSTATION = `
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname "lo" accept
    tcp dport { 22, 80 } accept
  }
}`

/** What keeps it, commands that set it up, and what it shuts out. */
const walls: { name: string; tool: [string, string]; rules: string; manager: string; shut: string[] }[] = [
  {
    name: 'nftables, policy drop',
    tool: ['nft', 'nftables'],
    rules: `nft -f - <<'X'${WORKSTATION}\nX`,
    manager: 'nftables',
    shut: all,
  },
  {
    name: 'nftables, accepting by policy, with a last rule that rejects what no chain let in',
    tool: ['nft', 'nftables'],
    rules: `nft -f - <<'X'
table ip fw {
  set lan { type ipv4_addr; flags interval; elements = { 10.3.50.0/24 } }
  chain in { type filter hook input priority -5; jump services; ct state new reject; }
  chain services { fib daddr type multicast drop; fib daddr type local ip saddr @lan tcp dport 111 accept; iifname "eth*" udp dport 60-70 accept; return; }
}
X`,
    manager: 'nftables',
    shut: ['udp 61000-61199', 'tcp 2049', 'tcp 20048'],
  },
  {
    name: 'two tables, each of which must let it in',
    tool: ['nft', 'nftables'],
    rules: `nft -f - <<'X'${WORKSTATION}
table ip second {
  chain in { type filter hook input priority 10; policy drop; udp dport 67 accept; }
}
X`,
    manager: 'nftables',
    shut: all,
  },
  {
    name: 'iptables, policy DROP and a chain of its own in capitals',
    tool: ['iptables', 'iptables'],
    rules: `iptables -N UDP; iptables -A UDP -p udp -m multiport --dports 67,69 -m comment --comment 'a b' -j ACCEPT
iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -p udp -m conntrack --ctstate NEW -j UDP
iptables -A INPUT ! -i wlan0 -s 10.3.50.0/24 -p tcp --dport 2049 -j ACCEPT
iptables -P INPUT DROP`,
    manager: 'iptables',
    shut: ['udp 61000-61199', 'tcp 111', 'tcp 20048'],
  },
]

const nothing: { name: string; tool: [string, string]; rules: string }[] = [
  {
    name: 'nftables that only counts',
    tool: ['nft', 'nftables'],
    rules:
      "nft -f - <<'X'\ntable inet t {\nchain input { type filter hook input priority 0; counter log; }\n}\nX",
  },
  {
    name: 'one that shuts forwarding only',
    tool: ['nft', 'nftables'],
    rules:
      "nft -f - <<'X'\ntable inet t {\nchain fw { type filter hook forward priority 0; policy drop; }\n}\nX",
  },
  {
    name: 'iptables with its policies as they are',
    tool: ['iptables', 'iptables'],
    rules: 'iptables -N own',
  },
]

function openLab(t: TestContext, tools: readonly [string, string][]): NetLab | undefined {
  for (const tool of [...tools, ['nft', 'nftables'], ['iptables', 'iptables']] as const)
    if (needTool(t, ...(tool as [string, string])) === undefined) return undefined
  return NetLab.open(t)
}

function mustRun(lab: NetLab, command: string): string {
  const ran = lab.inside('server', 'sh', ['-ec', command])
  assert.equal(ran.status, 0, `${command}: ${ran.stderr}`)
  return ran.stdout
}

/** Without handles and counts. */
const rulesOf = (lab: NetLab): string =>
  mustRun(lab, 'nft list ruleset; iptables-save -t filter').replaceAll(
    /^#.*$|\[\d+:\d+\]|counter packets \d+ bytes \d+/gm,
    '',
  )

for (const { name, tool, rules, manager, shut } of walls)
  test(`${name}: found, opened for the nodes alone, and shut again`, async (t) => {
    const lab = openLab(t, [tool])
    if (lab === undefined) return
    mustRun(lab, rules)
    const before = rulesOf(lab)
    const look = () => readFirewall('eth0', lab.runner('server'))
    const found = await look()
    assert.ok(found)
    assert.equal(found.manager, manager)
    assert.deepEqual(shutOut(served, found), shut)
    const [script] = renderFirewall(served, found)
    assert.equal(script?.path, FIREWALL_SCRIPT)
    const file = join(lab.prefix, 'firewall.sh')
    writeFileSync(file, script.content)

    mustRun(lab, `sh ${file} open`)
    const opened = rulesOf(lab)
    const now = await look()
    assert.ok(now, 'it still is a firewall')
    assert.deepEqual(shutOut(served, now), [])
    assert.deepEqual(renderFirewall(served, now)[0]?.content, script.content, 'the next run changes nothing')
    mustRun(lab, `sh ${file} open`)
    assert.equal(rulesOf(lab), opened, 'opened twice is opened once')
    // Whoever is not of the cluster finds what was there before.
    const other = {
      protocol: 'tcp',
      port: 2049,
      interface: 'wlan0',
      source: '192.0.2.9',
      to: 'local',
    } as const
    const { letsIn } = await import('../../src/servers/packet-filter.ts')
    assert.equal(letsIn(now.inputs, other), letsIn(found.inputs, other))

    mustRun(lab, `sh ${file} close`)
    assert.equal(rulesOf(lab), before)
    mustRun(lab, `sh ${file} close`)
  })

for (const { name, tool, rules } of nothing)
  test(`no firewall in the way: ${name}`, async (t) => {
    const lab = openLab(t, [tool])
    if (lab === undefined) return
    mustRun(lab, rules)
    assert.equal(await readFirewall('eth0', lab.runner('server')), undefined)
  })

test('a board gets no offer and no file through it; opened, it gets both, and again after a reload', async (t) => {
  const lab = openLab(t, [['nft', 'nftables']])
  if (lab === undefined) return
  const here = servedCluster({ tftpRoot: join(lab.prefix, 'tftp'), nodes: [servedNode(1)] })
  mkdirSync(join(here.tftpRoot, '10000001'), { recursive: true })
  writeFileSync(join(here.tftpRoot, '10000001/config.txt'), 'arm_64bit=1\n')
  for (const { path, content } of renderServers(here)) {
    mkdirSync(join(lab.prefix, path, '..'), { recursive: true })
    writeFileSync(join(lab.prefix, path), content)
  }
  await lab.startDnsmasq()
  const mac = 'dc:a6:32:00:00:01'
  const offers = () => lab.ask({ mac, offers: 1, waitMs: 1500 }).length
  lab.setBoard({ mac, ip: '10.3.50.11' })
  const gets = () => [offers() > 0, lab.fetch('10000001/config.txt') !== undefined]
  assert.deepEqual(gets(), [true, true])
  const load = `nft -f - <<'X'\nflush ruleset${WORKSTATION}\nX`
  mustRun(lab, load)
  assert.deepEqual(gets(), [false, false])
  const found = await readFirewall('eth0', lab.runner('server'))
  assert.ok(found)
  const file = join(lab.prefix, 'firewall.sh')
  writeFileSync(file, renderFirewall(here, found)[0]?.content ?? '')
  mustRun(lab, `sh ${file} open`)
  assert.deepEqual(gets(), [true, true])
  // What the unit does when nftables.service has loaded its rules again.
  mustRun(lab, load)
  assert.deepEqual(gets(), [false, false])
  mustRun(lab, `sh ${file} open`)
  assert.deepEqual(gets(), [true, true])
  // The lines that are shown do the same.
  mustRun(lab, load)
  mustRun(lab, openingLines(here, found).join('\n'))
  assert.deepEqual(gets(), [true, true])
})

/** $1: a folder of the test's own; $2: what sets the firewall up; then the program. */
const MACHINE = `set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
mount -t tmpfs none /run
ip link set lo up
ip link add eth0 type bridge
ip link set eth0 up
eval "$2"
shift 2
exec "$@"`

const keepers: { manager: string; tools: [string, string][]; setUp: string; reload: string }[] = [
  {
    manager: 'ufw',
    tools: [['ufw', 'ufw']],
    // Not every kernel of a test has IPv6's tables.
    setUp: "sed -i 's/^IPV6=.*/IPV6=no/' /etc/default/ufw; ufw --force enable; ufw deny 2049/tcp",
    reload: 'ufw reload',
  },
  {
    manager: 'firewalld',
    tools: [
      ['firewalld', 'firewalld'],
      ['dbus-daemon', 'dbus'],
    ],
    setUp: `mkdir -p /run/dbus
dbus-daemon --system --nopidfile --fork
firewalld --nofork --nopid >"$1/log" 2>&1 &
tries=0
until [ "$(firewall-cmd --state 2>/dev/null)" = running ]; do
  tries=$((tries + 1)); [ $tries -lt 120 ] || { cat "$1/log" >&2; exit 1; }
  sleep 0.5
done`,
    reload: 'firewall-cmd --reload',
  },
]
for (const { manager, tools, setUp, reload } of keepers)
  test(`${manager} itself: found, opened by its own commands, kept when it loads its rules again, and shut`, (t) => {
    if (!needRoot(t)) return
    for (const tool of [...tools, ['nft', 'nftables'], ['iptables', 'iptables']] as [string, string][])
      if (needTool(t, ...tool) === undefined) return
    const spaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
    const program = join(import.meta.dirname, 'firewall-program.js')
    const ran = run('unshare', [
      ...spaces,
      ...['sh', '-c', MACHINE, 'sh', tempFolder(t), setUp],
      ...[process.execPath, program, manager, reload],
    ])
    assert.equal(ran.status, 0, ran.stdout + ran.stderr)
  })
