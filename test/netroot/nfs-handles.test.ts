/**
 * Nothing but its own: nodes and a stranger ask a real kernel's NFS server for
 * everything, by handles that they make up, in every root mode and for volumes.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { figure } from '../support/figures.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { disklessProject } from './diskless.ts'
import type { Attacked } from './nfs-guest.ts'
import { boot, makeDisk, makeRoot, qemuHere } from './nfs-machine.ts'

const SERVER = '192.168.2.10'
const others = [11, 12, 77, 78].map((number) => `192.168.2.${number}`)

/** What a head would do at its start, and the attack. */
const init = `#!/busybox sh
/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/busybox --install -s /sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /run/rpcbind /run/sendsigs.omit.d
: >/var/lib/nfs/etab; : >/var/lib/nfs/rmtab
ip link set lo up
for address in ${[SERVER, ...others].join(' ')}; do ip addr add $address/32 dev lo; done
[ ! -b /dev/vdb ] || mount /dev/vdb /heads/reflink
rpcbind -w
exportfs -r
rpc.nfsd -H ${SERVER} -N 4 8 && rpc.mountd -p 20048
/node /piimage/build/test/netroot/nfs-guest.js
echo "ENDED $?"
poweroff -f
`

test('by handles that they make up, neither a node nor a stranger reaches anything else', async (t) => {
  const kernel = needEnv(t, 'PIIMAGE_NFSD_KERNEL', '.ci/kernel FOLDER unpacks one')
  if (kernel === undefined || !needRoot(t)) return
  for (const [tool, name] of [
    [qemuHere() ?? 'qemu', 'qemu-system'],
    ['exportfs', 'nfs-kernel-server'],
    ['rpcbind', 'rpcbind'],
    ['busybox', 'busybox-static'],
    ['cpio', 'cpio'],
    ['mkfs.xfs', 'xfsprogs'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return
  const project = disklessProject(t)
  const [head, reflink] = [project.server('/'), project.server('/heads/reflink')]
  project.beforeRemoval(() => run('umount', ['-R', '-q', head]))
  const disks = ['head.img', 'reflink.img'].map(project.file)
  const [first = '', second = ''] = disks
  const unmounts = [makeDisk(first, ['mkfs.ext4', '-q', '-F'], head)]
  unmounts.push(makeDisk(second, ['mkfs.xfs', '-q'], reflink))
  makeRoot(head, init)
  writeFileSync(join(head, 'etc/shadow'), 'root:*:20787:0:99999:7:::\n')
  writeFileSync(join(head, 'root/cluster/cluster.key'), 'the secret of the cluster\n')
  for (const mode of ['overlay', 'copy', 'shared', 'reflink']) {
    const prefix = join(head, 'heads', mode)
    mkdirSync(prefix, { recursive: true })
    const said = await project.piimage('netroot', '--root-mode', mode, '--prefix', prefix)
    assert.equal(said.status, 0, said.stderr)
  }
  for (const unmount of unmounts.reverse()) unmount()
  const said = await boot(kernel, project.folder, disks)
  const attacks = [...said.matchAll(/^ATTACKED (.*?)\r?$/gm)].map(
    ([, line = '']): Attacked => JSON.parse(line),
  )
  assert.match(said, /^ATTACKS DONE\r?$/m, said.slice(-3000))

  const control = attacks.filter(({ from }) => from === 'fool')
  assert.equal(control.length, 1)
  for (const { outsideBytes, outsideFilesWritten } of control)
    assert.ok(
      outsideBytes > 0 && outsideFilesWritten > 0,
      'a folder of the head, exported, is the whole head',
    )
  const tried = attacks.filter(({ from }) => from !== 'fool')
  assert.equal(tried.length, 4 * 3, 'two nodes and a stranger, in each mode')
  for (const one of tried) {
    const { node, mode, from, handles, found, bytesRead } = one
    t.diagnostic(
      `${mode} from ${from} ${node}: ${handles} handles, ${found} found, ${bytesRead} bytes of its own`,
    )
    assert.deepEqual(
      { bytes: one.outsideBytes, names: one.outsideNames, written: one.outsideFilesWritten },
      { bytes: 0, names: 0, written: 0 },
      JSON.stringify(one),
    )
    assert.ok(node === '' ? found === 0 : found > 0 && bytesRead > 0, JSON.stringify(one))
  }
  const sum = (key: 'handles' | 'outsideBytes' | 'outsideFilesWritten') =>
    tried.reduce((total, one) => total + one[key], 0)
  assert.ok(sum('handles') >= 10_000)
  t.diagnostic(
    `${sum('handles')} handles tried, ${sum('outsideBytes')} bytes read, ${sum('outsideFilesWritten')} files written`,
  )
  figure(t, 'handles', 10_000)
})
