/**
 * Applies and removes on "this machine", which is a mount namespace with an /etc
 * and a /run of its own. systemctl, apt-get and dpkg-query are scripts on the
 * PATH, because no systemd runs in there: they keep a diary, and mount and
 * unmount what the units say.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NetrootError } from '../../src/errors.ts'
import { listMountsUnder } from '../../src/io/mountinfo.ts'
import type { ImageMount, ServedCluster } from '../../src/netroot/served.ts'
import { applyServers } from '../../src/servers/apply.ts'
import type { Firewall } from '../../src/servers/machine.ts'
import { BARE_MACHINE } from '../../src/servers/machine.ts'
import { parseNftRuleset, shuttingChains } from '../../src/servers/packet-filter.ts'
import { removeServers } from '../../src/servers/remove.ts'
import { renderServers } from '../../src/servers/render.ts'
import { run } from '../support/tools.ts'
import { overlayOf, servedCluster, servedNode } from './served-cluster.ts'
import { snapshot } from './snapshot.ts'

const [scratch = ''] = process.argv.slice(2)
const stateFolder = join(scratch, 'state')
const diary = join(scratch, 'diary')
const { signal } = new AbortController()

/** What was asked of systemd and apt since the last time, questions left out. */
function told(): string[] {
  const lines = existsSync(diary) ? readFileSync(diary, 'utf8').split('\n') : []
  rmSync(diary, { force: true })
  return lines.filter((line) => line !== '' && !/ is-(enabled|active) |^dpkg-query/.test(line))
}

/** What every image here holds: an overlay's upper side is in some, and in the way in none. */
const content = join(scratch, 'content')
for (const name of ['upper', 'work']) mkdirSync(join(content, name), { recursive: true })

function makeImage({ image, folder }: ImageMount): void {
  mkdirSync(folder, { recursive: true })
  if (existsSync(image)) return
  writeFileSync(image, '')
  truncateSync(image, 4 * 1024 * 1024)
  const made = run('mkfs.ext4', ['-q', '-F', '-d', content, image])
  assert.equal(made.status, 0, made.stderr)
}

function cluster(...numbers: number[]): ServedCluster {
  const nodes = numbers.map((number) =>
    servedNode(number, { overlay: overlayOf(`node0${number}`, stateFolder) }, stateFolder),
  )
  for (const { images = [], rootFolder } of nodes) {
    for (const image of images) makeImage(image)
    mkdirSync(rootFolder, { recursive: true })
  }
  mkdirSync(join(stateFolder, 'tftp'), { recursive: true })
  return servedCluster({ stateFolder, tftpRoot: join(stateFolder, 'tftp'), nodes })
}

const apply = (served: ServedCluster, install = false, start = true) =>
  applyServers(renderServers(served), { stateFolder, start, install }, { signal })
const unitOf = (path: string) =>
  `${stateFolder.slice(1).replaceAll('-', '\\x2d').replaceAll('/', '-')}-${path.replaceAll('/', '-')}.mount`
const mountUnit = (name: string) => unitOf(`nodes/${name}/root`)
/** In the order in which they can be mounted. */
const points = (...names: string[]) => [
  'generations/g1/root',
  ...names.flatMap((name) => [`nodes/${name}/own`, `nodes/${name}/volume`]),
  ...names.map((name) => `nodes/${name}/root`),
]
const mountUnits = (...names: string[]) =>
  points(...names)
    .map(unitOf)
    .join(' ')
const mounted = async () => (await listMountsUnder(stateFolder)).toReversed()
const mountedOf = (...names: string[]) => points(...names).map((point) => join(stateFolder, point))
const before = snapshot('/etc')
// Somebody started it by hand.
mkdirSync(join(scratch, 'active'))
writeFileSync(join(scratch, 'active/nfs-server.service'), '')

// Without the packages nothing is written; asked to, apt-get brings them.
await assert.rejects(
  apply(cluster(1)),
  (error) => error instanceof NetrootError && /lacks dnsmasq, nfs-kernel-server$/.test(error.message),
)
assert.deepEqual(snapshot('/etc'), before)
assert.deepEqual(told(), [])

// A unit that does not start: files, mounts and services are as they were.
writeFileSync(join(scratch, 'fail-nfs-server.service'), '')
await assert.rejects(
  apply(cluster(1), true),
  (error) =>
    error instanceof NetrootError && /restart nfs-server\.service: it does not start/.test(error.message),
)
assert.deepEqual(snapshot('/etc'), before)
assert.deepEqual(await listMountsUnder(stateFolder), [])
const failed = told()
assert.match(failed[0] ?? '', /^apt-get .*update$/)
assert.match(failed[1] ?? '', /^apt-get .*install --no-install-recommends dnsmasq nfs-kernel-server$/)
assert.deepEqual(failed.slice(-4), [
  'systemctl disable dnsmasq.service',
  'systemctl stop dnsmasq.service',
  'systemctl disable nfs-server.service',
  'systemctl restart nfs-server.service',
])

// First start: everything, roots before the server that exports them.
await apply(cluster(1))
assert.deepEqual(told(), [
  'systemctl daemon-reload',
  'systemctl enable dnsmasq.service nfs-server.service',
  `systemctl start ${mountUnits('node01')}`,
  'systemctl restart dnsmasq.service',
  'systemctl restart nfs-server.service',
])
assert.deepEqual(await mounted(), mountedOf('node01'))

// Again: nothing is disturbed.
await apply(cluster(1))
assert.deepEqual(told(), [`systemctl start ${mountUnits('node01')}`])

// Another node: nobody who is up notices.
await apply(cluster(1, 2))
assert.deepEqual(told(), [
  'systemctl daemon-reload',
  `systemctl start ${mountUnits('node01', 'node02')}`,
  'systemctl reload dnsmasq.service',
  'systemctl reload nfs-server.service',
])

// Only written: the next run that starts makes up for it, and unmounts what is gone.
await apply(cluster(1), false, false)
assert.deepEqual(told(), [])
await apply(cluster(1))
assert.deepEqual(told(), [
  'systemctl daemon-reload',
  `systemctl start ${mountUnits('node01')}`,
  'systemctl reload dnsmasq.service',
  'systemctl reload nfs-server.service',
  `systemctl stop ${unitOf('nodes/node02/root')}`,
  `systemctl stop ${unitOf('nodes/node02/volume')}`,
  `systemctl stop ${unitOf('nodes/node02/own')}`,
])
assert.deepEqual(await mounted(), mountedOf('node01'))

// The firewall is opened after everything else, and shut by the script that opened it before that one goes.
const wall = (rules: string, chain = 'input'): Firewall => ({
  manager: 'nftables',
  inputs: shuttingChains(parseNftRuleset(rules)).map((input) => ({ ...input, chain })),
})
const DROPS = JSON.stringify({
  nftables: [
    { chain: { family: 'inet', table: 'fw', name: 'input', hook: 'input', type: 'filter', policy: 'drop' } },
  ],
})
const applyThrough = (firewall?: Firewall) => {
  const running = { interfaces: [], uplinks: [], listeners: [], nfsServer: true, freeBytes: 1e9, firewall }
  const files = renderServers(cluster(1), { ...BARE_MACHINE, running }, firewall !== undefined)
  return applyServers(files, { stateFolder, start: true }, { signal })
}
const ofFirewall = () => told().filter((line) => / (re)?st(op|art) piimage-firewall/.test(line))
await applyThrough(wall(DROPS))
assert.deepEqual(ofFirewall(), ['systemctl restart piimage-firewall.service'])
await applyThrough(wall(DROPS))
assert.deepEqual(ofFirewall(), [])
await applyThrough(wall(DROPS, 'other'))
assert.deepEqual(ofFirewall(), [
  'systemctl stop piimage-firewall.service',
  'systemctl restart piimage-firewall.service',
])
await applyThrough()
assert.deepEqual(ofFirewall(), ['systemctl stop piimage-firewall.service'])
assert.ok(!existsSync('/etc/piimage/netroot/firewall.sh'))
assert.ok(!existsSync('/etc/systemd/system/nftables.service.d/piimage-firewall.conf'))

// A root that is in use keeps its files; then everything goes, and the machine is as it was.
const inUse = snapshot('/etc')
writeFileSync(join(scratch, `fail-${mountUnit('node01')}`), '')
await assert.rejects(removeServers({ stateFolder }, { signal }), NetrootError)
assert.deepEqual(snapshot('/etc'), inUse)
told()
writeFileSync('/var/log/piimage-netroot.log', 'x\n')
writeFileSync('/var/log/piimage-netroot.log.2.gz', 'x\n')
writeFileSync('/var/log/piimage-netroot.log.mine', 'x\n')
const { removed } = await removeServers({ stateFolder }, { signal })
assert.deepEqual(removed.slice(-2), ['/var/log/piimage-netroot.log', '/var/log/piimage-netroot.log.2.gz'])
assert.ok(existsSync('/var/log/piimage-netroot.log.mine'))
assert.deepEqual(told(), [
  'systemctl stop dnsmasq.service',
  'systemctl stop nfs-server.service',
  ...points('node01')
    .toReversed()
    .map((point) => `systemctl stop ${unitOf(point)}`),
  'systemctl daemon-reload',
  'systemctl disable dnsmasq.service',
  'systemctl stop dnsmasq.service',
  'systemctl disable nfs-server.service',
  'systemctl restart nfs-server.service',
])
assert.deepEqual(await listMountsUnder(stateFolder), [])
assert.deepEqual(snapshot('/etc'), before)
