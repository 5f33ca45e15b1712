/** The lines for a firewall, taken by iptables in a network of its own. */
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
      '-A INPUT -s 172.19.180.0/24 -j ACCEPT',
      '-A INPUT -s 10.3.50.0/24 -i eth0 -j ACCEPT',
      '-A INPUT -i lo -j ACCEPT',
      '-A INPUT ! -i eth0 -j DROP',
    ],
  )
})

test('Zeros alone need no boot ports', () => {
  assert.doesNotMatch(formatFirewallHints(servedCluster({ nodes: [zero] })), /\b69\b/)
})
