/** The lines for a firewall, taken by iptables and nft in a network of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatFirewallHints } from '../../src/servers/firewall.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { servedCluster, servedNode } from './served-cluster.ts'

const zero = servedNode(4, { model: 'zero2w', ip: '172.19.180.4' })
zero.exports = zero.exports.map((one) => ({ ...one, client: '172.19.180.4' }))

test('iptables takes its lines; what serves the cluster is open to it and shut to others', (t) => {
  if (!needRoot(t) || needTool(t, 'iptables', 'iptables') === undefined) return
  const hints = formatFirewallHints(servedCluster({ nodes: [servedNode(1), zero] }))
  const lines = hints.split('\n').filter((line) => line.startsWith('iptables '))
  const ran = run('unshare', ['--net', 'sh', '-ec', `${lines.join('\n')}\niptables -S INPUT`])
  assert.equal(ran.status, 0, ran.stderr)
  const rules = ran.stdout.split('\n').filter((line) => line.startsWith('-A'))
  assert.match(rules[0] ?? '', /-i eth0 -p udp .*67,69,4011,61000:61199 -j ACCEPT/)
  const ofTcp = rules.filter((line) => line.includes('-p tcp'))
  assert.deepEqual(
    ofTcp.map((line) => line.replace(/ -p tcp.* -j/, ' -j')),
    [
      '-A INPUT -s 10.3.50.0/24 -i eth0 -j ACCEPT',
      '-A INPUT -s 172.19.180.0/24 -j ACCEPT',
      '-A INPUT -i lo -j ACCEPT',
      '-A INPUT ! -i eth0 -j DROP',
    ],
  )
})

test('nft takes its lines', (t) => {
  if (!needRoot(t) || needTool(t, 'nft', 'nftables') === undefined) return
  const lines = formatFirewallHints(servedCluster())
    .split('\n')
    .filter((line) => line.startsWith('nft '))
  const table =
    "nft 'add table inet filter; add chain inet filter input { type filter hook input priority 0; }'"
  const script = [table, ...lines, 'nft list chain inet filter input'].join('\n')
  const ran = run('unshare', ['--net', 'sh', '-ec', script])
  assert.equal(ran.status, 0, ran.stderr)
  const rules = ran.stdout.split('\n').filter((line) => / (accept|drop)$/.test(line))
  assert.deepEqual(
    rules.map((line) => line.trim()),
    [
      'iifname "eth0" udp dport { 67, 69, 4011, 61000-61199 } accept',
      'iifname "eth0" ip saddr 10.3.50.0/24 tcp dport { 111, 2049, 20048 } accept',
      'iifname "eth0" ip saddr 10.3.50.0/24 udp dport { 111, 2049, 20048 } accept',
      'iifname != { "lo", "eth0" } udp dport { 111, 2049, 20048 } drop',
      'iifname != { "lo", "eth0" } tcp dport { 111, 2049, 20048 } drop',
    ],
  )
})

test('Zeros alone need no boot ports', () => {
  assert.doesNotMatch(formatFirewallHints(servedCluster({ nodes: [zero] })), /\b69\b/)
})
