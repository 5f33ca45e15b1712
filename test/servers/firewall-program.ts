/** Finds, opens and shuts the firewall of "this machine": namespaces in which ufw or firewalld runs. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { runProgram } from '../../src/io/run-program.ts'
import { openingLines, shutOut } from '../../src/servers/firewall.ts'
import { renderFirewall } from '../../src/servers/open-firewall.ts'
import { readFirewall } from '../../src/servers/read-firewall.ts'
import { run } from '../support/tools.ts'
import { servedCluster, servedNode } from './served-cluster.ts'

const [manager = '', reload = ''] = process.argv.slice(2)
const zero = servedNode(4, { model: 'zero2w', ip: '172.19.180.4' })
zero.exports = zero.exports.map((one) => ({ ...one, client: '172.19.180.4' }))
const served = servedCluster({ nodes: [servedNode(1), zero] })

const look = async () => {
  const found = await readFirewall('eth0', runProgram)
  assert.ok(found)
  assert.equal(found.manager, manager)
  return { found, shut: shutOut(served, found) }
}
const mustRun = (command: string) => {
  const ran = run('sh', ['-ec', command])
  assert.equal(ran.status, 0, `${command}: ${ran.stderr}${ran.stdout}`)
}

const { found, shut } = await look()
assert.deepEqual(shut, ['udp 67', 'udp 69', 'udp 61000-61199', 'tcp 111', 'tcp 2049', 'tcp 20048'])
const content = renderFirewall(served, found)[0]?.content ?? ''
writeFileSync('/run/firewall.sh', content)
for (const what of ['sh /run/firewall.sh open', 'sh /run/firewall.sh open', reload]) {
  mustRun(what)
  const now = await look()
  assert.deepEqual(now.shut, [], what)
  assert.equal(renderFirewall(served, now.found)[0]?.content, content, 'the next run changes nothing')
}
for (const what of ['sh /run/firewall.sh close', 'sh /run/firewall.sh close', reload]) {
  mustRun(what)
  assert.deepEqual((await look()).shut, shut, what)
}
// The lines that are shown do the same.
mustRun(openingLines(served, found).join('\n'))
assert.deepEqual((await look()).shut, [])
