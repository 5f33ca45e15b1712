/**
 * Texts that somebody else made long: four times the text takes about four times
 * the work, where comparing each with each would take sixteen times.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseYamlMap } from '../../src/boot/cloud-init.ts'
import { checkLockText } from '../../src/catalog/lock-check.ts'
import { parseCluster } from '../../src/cluster/cluster-file.ts'
import { features } from '../../src/features/index.ts'
import { nearest } from '../../src/nearest.ts'
import type { ServedNode } from '../../src/netroot/served.ts'
import { adoptInto } from '../../src/rehearsal/adopt.ts'
import { foldBoots } from '../../src/rehearsal/live/boots.ts'
import { parseDnsmasqLog } from '../../src/rehearsal/live/dnsmasq-log.ts'
import { statesOf, unknownBoards } from '../../src/rehearsal/live/node-state.ts'
import { held } from '../support/attack.ts'
import { demoProject } from '../support/project.ts'

const many = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('')

const HEAD = 'cluster: demo\nimage: demo@1\n'
const judge = (text: string) =>
  parseCluster(text, 'cluster.yaml', {
    features,
    folder: '/nowhere',
    home: '/nowhere',
    readLocal: () => {
      throw Object.assign(new Error('none'), { code: 'ENOENT' })
    },
  })

const mac = (index: number): string =>
  `02:00:00:${[16, 8, 0].map((bits) => ((index >> bits) % 256).toString(16).padStart(2, '0')).join(':')}`
const serial = (index: number): string => (0x10000000 + index).toString(16)
const at = (what: string, program = 'dhcp') => `Jul  6 05:48:56 dnsmasq-${program}[4322]: ${what}\n`

/** A board that asks, is answered, and looks for its files. */
const boot = (index: number): string => {
  const ip = `10.${(index >> 16) % 256}.${(index >> 8) % 256}.${index % 256}`
  return [
    at(`7 DHCPDISCOVER(eth0) ${mac(index)} `),
    at(`7 DHCPOFFER(eth0) ${ip} ${mac(index)} `),
    at(`file /srv/tftp/${serial(index)}/start4.elf not found for ${ip}`, 'tftp'),
  ].join('')
}

/** By name: how large the smaller text is, and what is done with one. */
const works: Record<string, [count: number, work: (count: number) => unknown]> = {
  'a key given again and again': [
    2000,
    (count) => judge(`${HEAD}nodes: {${many(count, () => 'n: { model: pi4 },')}}\n`),
  ],
  'aliases of one anchor': [
    1000,
    (count) => judge(`${HEAD}user: &a { name: ops }\nnodes:\n${many(count, (i) => `  n${i}: *a\n`)}`),
  ],
  'aliases of as many anchors': [
    800,
    (count) =>
      judge(
        `${HEAD}nodes:\n${many(count, (i) => `  n${i}: &a${i} { model: pi4 }\n`)}${many(count, (i) => `  m${i}: *a${i}\n`)}`,
      ),
  ],
  'images of a lock that are all wrong': [
    600,
    (count) =>
      checkLockText(
        JSON.stringify({
          lockfileVersion: 1,
          images: Object.fromEntries(Array.from({ length: count }, (_, i) => [`a-b-armhf@${i}`, { os: 1 }])),
        }),
        'images.lock.json',
      ).then(
        () => assert.fail('taken'),
        () => {},
      ),
  ],
  'keys of user-data': [
    3000,
    (count) =>
      parseYamlMap(
        many(count, (i) => `k${i}: 1\n`),
        'user-data',
      ),
  ],
  'a cluster file into which a board is written': [
    3000,
    (count) =>
      adoptInto(`nodes:\n${many(count, (i) => `  n${i}: { model: pi4 }\n`)}`, 'cluster.yaml', 'n1', {
        mac: mac(1),
        serial: serial(1),
      }),
  ],
  'a flood of boards in a log, and as many nodes': [
    2000,
    (count) => {
      const nodes = Array.from({ length: count }, (_, i) => ({
        name: `n${i}`,
        ip: `11.0.${i >> 8}.${i % 256}`,
        serial: serial(i + 1_000_000),
        tftpNames: [],
      })) as unknown as ServedNode[]
      const boots = foldBoots(parseDnsmasqLog(many(count, boot)), nodes)
      assert.equal(boots.size, count)
      const seen = { boots, mounted: new Set<string>(), answering: new Set<string>(), now: new Date() }
      assert.equal(statesOf(nodes, seen).length, count)
      assert.equal(unknownBoards(nodes, boots).length, count)
    },
  ],
  'names like a wrong one': [
    2000,
    (count) => {
      const names = Array.from({ length: count }, (_, i) => `image-${i}`)
      for (let i = 0; i < count; i += 100) nearest(`imagx-${i}`, names)
    },
  ],
}

/** CPU time of this process, which a busy machine makes no longer; the less of two. */
async function costOf(work: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 2; run += 1) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, user + system)
  }
  return least
}

for (const [what, [count, work]] of Object.entries(works))
  test(`in proportion: ${what}`, async (t) => {
    // A compiler that is still at work would be measured too.
    await work(count)
    const small = await costOf(() => work(count))
    const large = await costOf(() => work(4 * count))
    assert.ok(large < 9 * small, `four times the text takes ${(large / small).toFixed(1)} times the work`)
    held(t, 1)
  })

test('an overlay that is longer than any needs to be is refused unread', async (t) => {
  const project = demoProject(t)
  mkdirSync(project.file('overlays/fan'), { recursive: true })
  writeFileSync(
    project.file('overlays/fan/overlay.yaml'),
    many(60_000, (i) => `k${i}: 1\n`),
  )
  const said = await project.piimage('plan', '--node', 'oneil')
  assert.equal(said.status, 2)
  assert.match(said.stderr, /overlay\.yaml has more than 65\.5 kB/)
  held(t, 1)
})
