/**
 * Applies and removes on "this machine", which is a mount namespace with an /etc
 * and a /run of its own. systemctl, apt-get and dpkg-query are scripts on the
 * PATH, because no systemd runs in there: they keep a diary, and mount and
 * unmount what the units say.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NetrootError } from '../../src/errors.ts'
import { listMountsUnder } from '../../src/io/mountinfo.ts'
import type { OverlayMount, ServedCluster } from '../../src/netroot/served.ts'
import { applyServers } from '../../src/servers/apply.ts'
import { removeServers } from '../../src/servers/remove.ts'
import { renderServers } from '../../src/servers/render.ts'
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

function madeOverlay(name: string): OverlayMount {
  const overlay = overlayOf(name, stateFolder)
  for (const folder of Object.values(overlay)) mkdirSync(folder, { recursive: true })
  return overlay
}

function cluster(...numbers: number[]): ServedCluster {
  const nodes = numbers.map((number) =>
    servedNode(number, { overlay: madeOverlay(`node0${number}`) }, stateFolder),
  )
  for (const folder of nodes.flatMap(({ exports }) => exports.map((one) => one.folder)))
    mkdirSync(folder, { recursive: true })
  mkdirSync(join(stateFolder, 'tftp'), { recursive: true })
  return servedCluster({ stateFolder, tftpRoot: join(stateFolder, 'tftp'), nodes })
}

const apply = (served: ServedCluster, install = false, start = true) =>
  applyServers(renderServers(served), { stateFolder, start, install }, { signal })
const mountUnit = (name: string) =>
  `${stateFolder.slice(1).replaceAll('-', '\\x2d').replaceAll('/', '-')}-nodes-${name}-root.mount`
const merged = (name: string) => join(stateFolder, 'nodes', name, 'root')
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
  `systemctl start ${mountUnit('node01')}`,
  'systemctl restart dnsmasq.service',
  'systemctl restart nfs-server.service',
])
assert.deepEqual(await listMountsUnder(stateFolder), [merged('node01')])

// Again: nothing is disturbed.
await apply(cluster(1))
assert.deepEqual(told(), [`systemctl start ${mountUnit('node01')}`])

// Another node: nobody who is up notices.
await apply(cluster(1, 2))
assert.deepEqual(told(), [
  'systemctl daemon-reload',
  `systemctl start ${mountUnit('node01')} ${mountUnit('node02')}`,
  'systemctl reload dnsmasq.service',
  'systemctl reload nfs-server.service',
])

// Only written: the next run that starts makes up for it, and unmounts what is gone.
await apply(cluster(1), false, false)
assert.deepEqual(told(), [])
await apply(cluster(1))
assert.deepEqual(told(), [
  'systemctl daemon-reload',
  `systemctl start ${mountUnit('node01')}`,
  'systemctl reload dnsmasq.service',
  'systemctl reload nfs-server.service',
  `systemctl stop ${mountUnit('node02')}`,
])
assert.deepEqual(await listMountsUnder(stateFolder), [merged('node01')])

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
  `systemctl stop ${mountUnit('node01')}`,
  'systemctl daemon-reload',
  'systemctl disable dnsmasq.service',
  'systemctl stop dnsmasq.service',
  'systemctl disable nfs-server.service',
  'systemctl restart nfs-server.service',
])
assert.deepEqual(await listMountsUnder(stateFolder), [])
assert.deepEqual(snapshot('/etc'), before)
