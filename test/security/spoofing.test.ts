/** What a stranger on the wire says by DHCP and TFTP, on its way into `netroot status` and the cluster file. */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { disklessProject } from '../netroot/diskless.ts'
import { held } from '../support/attack.ts'
import { needRoot } from '../support/tools.ts'

const STRANGE = 'dc:a6:32:2e:f8:ed'
const at = (what: string, program = 'dhcp') => `Jul  6 05:48:56 dnsmasq-${program}[4322]: ${what}\n`
const asks = (mac: string, ...more: string[]) =>
  [at(`7 DHCPDISCOVER(eth0) ${mac} `), at(`7 DHCPOFFER(eth0) 192.168.2.99 ${mac} `), ...more].join('')

/** Texts that would be YAML, a terminal's commands, or a line of their own. */
const NASTY = [
  '\x1b]0;owned\x07\x1b[2K\rcarter: up',
  '"}, evil: { model: pi4 }, x: {"',
  '\nnodes: { evil: {} }\n',
  '12345678"\n  evil: {}',
  '$(id)`id`;id',
  '\u202e\u200b\x9b1m',
  'n'.repeat(100_000),
]

test('netroot status and adopt: names, files and numbers that a board made up', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const laid = await project.netroot('--root-mode', 'copy')
  assert.equal(laid.status, 0, laid.stderr)
  const log = project.file('dnsmasq.log')
  const cluster = project.file('cluster.yaml')
  const before = readFileSync(cluster, 'utf8')
  let tried = 0
  for (const text of NASTY) {
    const said = [
      at(`7 vendor class: ${text}`),
      at(`7 client provides name: ${text}`),
      at(`7 sent size: 17 option: 97 client-machine-id  ${text}`),
      at(`file /srv/tftp/${text}/start4.elf not found for 192.168.2.99`, 'tftp'),
      at(`sent /srv/tftp/${text} to 192.168.2.99`, 'tftp'),
      at(`file /srv/tftp/5b154510/start4.elf${text} not found`, 'tftp'),
      at(`cannot access ${text}: no`, 'tftp'),
    ]
    // Heard of a stranger, and of a node that is known.
    for (const mac of [STRANGE, 'b8:27:eb:00:00:01']) {
      writeFileSync(log, asks(mac, ...said))
      const status = await project.netroot('status', '--log', log)
      assert.doesNotMatch(status.stderr, /bug in piimage/)
      assert.doesNotMatch(`${status.stdout}${status.stderr}`.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
      tried += 1
    }
    writeFileSync(log, asks(STRANGE, ...said))
    const adopted = await project.netroot('adopt', STRANGE, 'hammond', '--log', log)
    assert.doesNotMatch(`${adopted.stdout}${adopted.stderr}`.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
    const after = readFileSync(cluster, 'utf8')
    const nodes = parse(after).nodes
    assert.deepEqual(Object.keys(nodes), ['hammond', 'oneil', 'carter'])
    if (adopted.status === 0) assert.match(nodes.hammond.serial, /^[0-9a-f]{8}$/)
    else assert.equal(after, before)
    writeFileSync(cluster, before)
    // The same as words of the command line.
    for (const words of [
      [text, 'hammond'],
      [STRANGE, text],
      ['5b154510', 'hammond', text],
    ]) {
      const refused = await project.netroot('adopt', ...words, '--log', log)
      assert.notEqual(refused.status, 0)
      assert.doesNotMatch(`${refused.stdout}${refused.stderr}`.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
      assert.equal(readFileSync(cluster, 'utf8'), before)
    }
    tried += 4
  }
  held(t, tried)
})

test('netroot adopt: an address or a serial number that another node has', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const cluster = project.file('cluster.yaml')
  const before = readFileSync(cluster, 'utf8')
  const log = project.file('dnsmasq.log')
  writeFileSync(log, '')
  for (const words of [
    ['5b154510', 'oneil', 'b8:27:eb:00:00:01'],
    ['a1b2c3d4', 'carter', STRANGE],
    ['5b154510', 'nobody', STRANGE],
  ]) {
    const said = await project.netroot('adopt', ...words, '--log', log)
    assert.notEqual(said.status, 0, words.join(' '))
    assert.equal(readFileSync(cluster, 'utf8'), before)
  }
  held(t, 3)
})

test('netroot status: a log of a hundred thousand boards that are none, and one of 600 MB', async (t) => {
  if (!needRoot(t)) return
  const project = disklessProject(t)
  const laid = await project.netroot('--root-mode', 'copy')
  assert.equal(laid.status, 0, laid.stderr)
  const log = project.file('dnsmasq.log')
  const lines: string[] = []
  for (let index = 0; index < 100_000; index += 1) {
    const end = index
      .toString(16)
      .padStart(6, '0')
      .replace(/(..)(..)(..)/, '$1:$2:$3')
    lines.push(at(`7 DHCPDISCOVER(eth0) dc:a6:32:${end} `))
    lines.push(at(`sent /srv/tftp/config.txt to 10.0.${index & 0xff}.${(index >> 8) & 0xff}`, 'tftp'))
  }
  const known = asks('b8:27:eb:00:00:01', at('sent /srv/tftp/kernel.img to 192.168.2.99', 'tftp'))
  writeFileSync(log, lines.join('') + known)
  const status = await project.netroot('status', '--log', log, '--json')
  assert.equal(status.status, 0, status.stderr.slice(0, 500))
  assert.ok(status.events.some((event) => event.event === 'node' && event.node === 'carter'))
  truncateSync(log, 600_000_000)
  appendFileSync(log, known)
  const large = await project.netroot('status', '--log', log)
  assert.equal(large.status, 0, large.stderr)
  held(t, 2)
})
