/** Exports and NFS settings, judged by the parsers of nfs-utils. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NetrootError } from '../../src/errors.ts'
import type { Export, ServedNode } from '../../src/netroot/served.ts'
import { formatExports, formatNfsConf, nfsAddresses } from '../../src/servers/exports.ts'
import { BARE_MACHINE } from '../../src/servers/machine.ts'
import { renderServers } from '../../src/servers/render.ts'
import { EXPORTS_FILE, NFS_CONF_FILE } from '../../src/servers/server-file.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { overlayOf, STATE, servedCluster, servedNode } from './served-cluster.ts'

/** What the NFS server would believe: exportfs in namespaces of its own, with a table of its own. */
function etab(t: TestContext, exports: string): string[] | undefined {
  if (!needRoot(t) || needTool(t, 'exportfs', 'nfs-kernel-server') === undefined) return undefined
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'exports.d'))
  writeFileSync(join(folder, 'exports'), '')
  writeFileSync(join(folder, 'exports.d/piimage.exports'), exports)
  const script =
    'mount -t tmpfs none /var/lib/nfs && mount --bind "$1" /etc && exportfs -r; cat /var/lib/nfs/etab'
  const ran = run('unshare', ['--mount', '--net', 'sh', '-c', script, 'sh', folder])
  assert.equal(ran.stderr, '')
  return ran.stdout.split('\n').filter((line) => line !== '')
}

test('each folder goes to one address, as exportfs reads it', (t) => {
  const state = join(tempFolder(t), 'st ate,#"ü*(rw)')
  const nodes = [1, 2].map((number) =>
    servedNode(number, number === 1 ? { overlay: overlayOf('node01', state) } : {}, state),
  )
  const base: Export = { folder: `${state}/base`, client: '10.3.50.0/24', writable: false, fsid: '7' }
  for (const { exports, images } of nodes) {
    exports.push(base)
    images?.push({ image: `${state}/base.ext4`, folder: base.folder, writable: false })
  }
  for (const { folder } of nodes.flatMap(({ exports }) => exports)) mkdirSync(folder, { recursive: true })
  const text = formatExports(servedCluster({ stateFolder: state, nodes }))
  const lines = etab(t, text)
  if (lines === undefined) return
  assert.equal(lines.length, 5, 'what is shared stands once')
  for (const line of lines) {
    const [, client, options = ''] = /^\S+\t([^(]*)\((.*)\)$/.exec(line) ?? []
    assert.match(client ?? '', /^10\.3\.50\.(11|12|0\/24)$/)
    const all = options.split(',')
    assert.equal(all.includes('rw'), client !== '10.3.50.0/24', line)
    for (const wanted of ['sync', 'secure', 'no_subtree_check', 'no_root_squash', 'sec=sys'])
      assert.ok(all.includes(wanted), `${wanted} in ${line}`)
    assert.ok(all.includes('mountpoint'), line)
  }
})

const notAlone: { name: string; spoil: (node: ServedNode) => void }[] = [
  { name: 'a folder of the server', spoil: (node) => node.images?.splice(0, 1) },
  { name: 'what an earlier piimage laid out', spoil: (node) => delete node.images },
  {
    name: 'an overlay over a folder of the server',
    spoil: (node) => {
      node.overlay = { ...overlayOf('node01'), upper: `${STATE}/nodes/node01/upper` }
    },
  },
  {
    name: 'an overlay over a base that somebody may write',
    spoil: (node) => {
      const overlaid = servedNode(1, { overlay: overlayOf('node01') })
      const images = overlaid.images?.map((image) => ({ ...image, writable: true }))
      Object.assign(node, overlaid, { images })
    },
  },
  {
    name: 'an image that another node writes',
    spoil: (node) => node.images?.push(...(servedNode(2).images ?? [])),
  },
]
for (const { name, spoil } of notAlone)
  test(`never exported, because a client reaches the whole file system: ${name}`, () => {
    const nodes = [servedNode(1), servedNode(2)]
    const [first] = nodes
    assert.ok(first)
    spoil(first)
    assert.throws(
      () => formatExports(servedCluster({ nodes })),
      (error) => error instanceof NetrootError && /not a file system of its own/.test(error.message),
    )
  })

const worldWide: { name: string; change: Partial<Export> }[] = [
  { name: 'everybody', change: { client: '*' } },
  { name: 'every address', change: { client: '0.0.0.0/0', writable: false } },
  { name: 'a network that may write', change: { client: '10.3.50.0/24' } },
  { name: 'another network', change: { client: '10.3.0.0/16', writable: false } },
  { name: 'a name', change: { client: 'node01.lan' } },
  { name: 'options in the address', change: { client: '10.3.50.11(rw) *' } },
  { name: 'the root of all NFSv4 exports', change: { fsid: '0' } },
  { name: 'options in the fsid', change: { fsid: '1,insecure' } },
]
for (const { name, change } of worldWide)
  test(`never exported to: ${name}`, () => {
    const node = servedNode(1)
    const [root] = node.exports
    assert.ok(root)
    node.exports = [{ ...root, ...change }]
    assert.throws(() => formatExports(servedCluster({ nodes: [node] })), /would be open to|neither a number/)
  })

test('one fsid is one folder', () => {
  const nodes = [servedNode(1), servedNode(1, { name: 'twin', exports: servedNode(2).exports })]
  const [first] = nodes[1]?.exports ?? []
  assert.ok(first)
  first.fsid = '101'
  assert.throws(() => formatExports(servedCluster({ nodes })), NetrootError)
})

test('Zeros on USB mount from the controller of their private network', () => {
  const zero = servedNode(4, { model: 'zero2w', ip: '172.19.180.4' })
  zero.exports = zero.exports.map((one) => ({ ...one, client: '172.19.180.4' }))
  const served = servedCluster({ nodes: [servedNode(1), zero] })
  assert.deepEqual(nfsAddresses(served), ['10.3.50.1', '172.19.180.254'])
  assert.match(formatExports(served), /^\/srv\/piimage\/nodes\/node04\/root 172\.19\.180\.4\(rw,/m)
})

test('an address that no network of the server reaches is refused', () => {
  const node = servedNode(1, { ip: '192.168.7.7' })
  node.exports = node.exports.map((one) => ({ ...one, client: '192.168.7.7' }))
  assert.throws(() => formatNfsConf(servedCluster({ nodes: [node] }), BARE_MACHINE), NetrootError)
})

test('the whole network moved: what ran on the old one is let go, and everything else is served', () => {
  const node = servedNode(1)
  const [root] = node.exports
  assert.ok(root)
  const before = { ...root, client: '192.168.7.11' }
  const swapped = { ...root, client: '10.3.50.12' }
  node.exports = [...node.exports, before, swapped]
  const file = (path: string) =>
    renderServers(servedCluster({ nodes: [node] })).find((one) => one.path === path)?.content ?? ''
  assert.doesNotMatch(file(EXPORTS_FILE), /192\.168\.7/)
  assert.match(file(EXPORTS_FILE), /root 10\.3\.50\.12\(/, 'one that is still within reach stays')
  assert.match(file(NFS_CONF_FILE), /^host=10\.3\.50\.1$/m)
})

test('nfs.conf: nfs-utils reads where the server listens', (t) => {
  if (needTool(t, 'nfsconf', 'nfs-common') === undefined) return
  const file = join(tempFolder(t), 'nfs.conf')
  const get = (section: string, key: string): string =>
    run('nfsconf', ['--file', file, '--get', section, key]).stdout.trim()
  const nodes = Array.from({ length: 30 }, () => servedNode(1))
  writeFileSync(file, formatNfsConf(servedCluster({ nodes }), BARE_MACHINE))
  assert.equal(get('nfsd', 'host'), '10.3.50.1')
  assert.equal(get('nfsd', 'threads'), '30')
  assert.equal(get('nfsd', 'vers4'), 'n', 'no pseudo root, which lies on the server')
  assert.equal(get('mountd', 'port'), '20048')
  const shared = formatNfsConf(servedCluster(), { ...BARE_MACHINE, exports: ['/etc/exports'] })
  writeFileSync(file, shared)
  assert.equal(get('nfsd', 'vers4'), '')
  assert.equal(get('nfsd', 'host'), '', "somebody else's clients may come from anywhere")
})
