/** Mount units, judged by systemd's parser and by the kernel's. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { formatNfsDropIn, renderMounts } from '../../src/servers/mounts.ts'
import { renderServers } from '../../src/servers/render.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { overlayOf, servedCluster, servedNode } from './served-cluster.ts'

const value = (unit: string, key: string): string => {
  const [, text = ''] = new RegExp(`^${key}=(.*)$`, 'm').exec(unit) ?? []
  return text.replaceAll('%%', '%')
}

test('an overlay is mounted with the options of its unit, and what a node writes is its own', (t) => {
  if (!needRoot(t) || needTool(t, 'unshare', 'util-linux') === undefined) return
  const state = join(tempFolder(t), "st ate%h #'ü")
  const overlay = overlayOf('node01', state)
  const nodes = [servedNode(1, { overlay }, state)]
  for (const folder of Object.values(overlay)) mkdirSync(folder, { recursive: true })
  writeFileSync(join(overlay.lower, 'hosts'), 'base\n')
  const unit = renderMounts(servedCluster({ stateFolder: state, nodes })).at(-1)
  assert.ok(unit)
  const where = value(unit.content, 'Where')
  assert.equal(where, overlay.merged)
  // The overlay's own index needs a file system that has one: not every /tmp does.
  const script = `mount -t overlay overlay -o "$1" "$2" && cat "$2/hosts" && echo own >"$2/hosts" &&
    grep -o 'index=on,nfs_export=on\\|nfs_export=on' /proc/mounts`
  const ran = run('unshare', ['--mount', 'sh', '-c', script, 'sh', value(unit.content, 'Options'), where])
  assert.equal(ran.stderr, '')
  assert.match(ran.stdout, /^base\n(index=on,)?nfs_export=on\n/)
  assert.equal(readFileSync(join(overlay.upper, 'hosts'), 'utf8'), 'own\n')
  assert.equal(readFileSync(join(overlay.lower, 'hosts'), 'utf8'), 'base\n')
})

test('systemd takes the units and the drop-ins', (t) => {
  if (needTool(t, 'systemd-analyze', 'systemd') === undefined) return
  const folder = tempFolder(t)
  const state = '/srv/pi "image" 50%'
  const nodes = [
    servedNode(1, { overlay: overlayOf('node01'), earlierOverlays: [overlayOf('old')] }),
    servedNode(2),
  ]
  const served = servedCluster({ stateFolder: state, tftpRoot: `${state}/tftp`, nodes })
  const units = renderServers(served).filter(({ path }) => path.startsWith('/etc/systemd/system/'))
  for (const { path, content } of units) {
    const file = join(folder, path.slice('/etc/systemd/system/'.length))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  for (const service of ['nfs-server', 'dnsmasq'])
    writeFileSync(
      join(folder, `${service}.service`),
      '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n',
    )
  const mounts = units.filter(({ path }) => path.endsWith('.mount')).map(({ path }) => basename(path))
  assert.equal(mounts.length, 8, 'a base, what two overlays lie on, a root, two volumes, two overlays')
  const ran = run(
    'systemd-analyze',
    [
      'verify',
      '--man=no',
      ...[...mounts, 'nfs-server.service', 'dnsmasq.service'].map((name) => join(folder, name)),
    ],
    { env: { SYSTEMD_UNIT_PATH: `${folder}:/lib/systemd/system` } },
  )
  const ours = ran.stderr.split('\n').filter((line) => line.includes(folder) || line.includes('piimage'))
  assert.deepEqual(ours, [])
  assert.equal(ran.status, 0, ran.stderr)
})

test('a root that cannot be mounted keeps no other node from booting', () => {
  const nodes = [servedNode(1, { overlay: overlayOf('node01') })]
  const text = formatNfsDropIn(servedCluster({ nodes }))
  assert.match(text, /^Wants=srv-piimage-nodes-node01-root\.mount$/m)
  assert.match(text, /^After=srv-piimage-nodes-node01-root\.mount$/m)
  assert.doesNotMatch(text, /^(Requires|BindsTo)=/m)
})
