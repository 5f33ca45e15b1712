/** The plain parts of a node's trees: command line, files of the root, names under which it is found. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../../src/cluster/node.ts'
import { planBootTree } from '../../src/netroot/boot-tree.ts'
import { type NetbootTarget, netbootCmdline } from '../../src/netroot/cmdline.ts'
import { tftpNames } from '../../src/netroot/tftp-names.ts'
import { volumeEdits } from '../../src/netroot/volume.ts'
import type { RootEdit } from '../../src/systems/root/root-edit.ts'

const target: NetbootTarget = {
  name: 'n1',
  ip: '10.3.50.11',
  netmask: '255.255.255.0',
  gateway: '10.3.50.1',
  device: 'eth0',
  serverIp: '10.3.50.1',
  rootFolder: '/srv/r',
  writable: true,
  cloudInit: false,
}
const tail =
  'root=/dev/nfs nfsroot=10.3.50.1:/srv/r,vers=3,tcp,hard,nolock,rsize=65536,wsize=65536 rw ' +
  'ip=10.3.50.11:10.3.50.1:10.3.50.1:255.255.255.0:n1:eth0:off rootwait boot=nfs fsck.mode=skip net.ifnames=0\n'

test('a parameter that says how the root is found is said once, by the server', () => {
  const line = netbootCmdline(['console=tty1', 'root=/dev/sda2', 'rw', 'ip=dhcp', 'rootless=1'], target)
  assert.equal(line, `console=tty1 rootless=1 ${tail}`)
  assert.equal(netbootCmdline(line.trim().split(' '), target), line)
})

test('a shared root is read-only, cloud-init leaves the network alone, a gateway may be missing', () => {
  const { gateway: _, ...rest } = target
  const line = netbootCmdline(['root=/dev/mmcblk0p2'], { ...rest, writable: false, cloudInit: true })
  assert.match(
    line,
    / ro ip=10\.3\.50\.11:10\.3\.50\.1::255\.255\.255\.0:n1:eth0:off .*network-config=disabled\n$/,
  )
})

test('a command line that firmware would cut off is refused', () => {
  assert.throws(() => netbootCmdline(['root=/dev/sda', `x=${'y'.repeat(900)}`], target), /1024/)
})

const paths = (edits: readonly RootEdit[]): string[] => edits.map(({ path }) => path)
const textOf = (edits: readonly RootEdit[], path: string): string => {
  const edit = edits.find((one) => one.path === path)
  assert.ok(edit?.kind === 'file', `${path} is in ${paths(edits).join(' ')}`)
  return new TextDecoder().decode(edit.content)
}

test('what makes a node one of a kubeadm cluster outlasts its root, and other nodes have none of it', () => {
  const edits = volumeEdits('10.3.50.1', '/srv/v/n1', ['cgroups', 'kubeadm'])
  for (const [unit, name, where] of [
    ['etc-kubernetes', 'kubernetes', '/etc/kubernetes'],
    ['var-lib-kubelet', 'kubelet', '/var/lib/kubelet'],
    ['etc-cni', 'cni', '/etc/cni'],
  ]) {
    const text = textOf(edits, `/etc/systemd/system/${unit}.mount`)
    assert.match(text, new RegExp(`What=/var/lib/piimage/volume/${name}\nWhere=${where}\n`))
  }
  const waits = textOf(edits, '/etc/systemd/system/kubelet.service.d/50-piimage.conf')
  assert.match(waits, /RequiresMountsFor=.* \/etc\/kubernetes \/var\/lib\/kubelet \/etc\/cni\n/)
  for (const overlay of ['docker', 'k3s'])
    assert.ok(
      !paths(volumeEdits('10.3.50.1', '/srv/v/n1', [overlay]))
        .join()
        .includes('kubernetes'),
      overlay,
    )
})

test('containers find the volume mounted, whoever starts first', () => {
  const edits = volumeEdits('10.3.50.1', '/srv/v/n1', ['ssh', 'docker'])
  const at = (name: string) => textOf(edits, `/etc/systemd/system/${name}`)
  assert.match(
    at('var-lib-piimage-storage.mount'),
    /What=10\.3\.50\.1:\/srv\/v\/n1\nWhere=\/var\/lib\/piimage\/storage\nType=nfs\nOptions=vers=3,.*addr=10\.3\.50\.1/,
  )
  assert.match(
    at('var-lib-piimage-volume.mount'),
    /RequiresMountsFor=\/var\/lib\/piimage\/storage\n(.|\n)*Options=loop/,
  )
  for (const unit of ['docker', 'containerd', 'k3s', 'k3s-agent'])
    assert.match(
      at(`${unit}.service.d/50-piimage.conf`),
      /RequiresMountsFor=\/var\/lib\/docker \/var\/lib\/containerd \/var\/lib\/rancher/,
    )
  assert.match(
    at('piimage-firstboot.service.d/50-piimage.conf'),
    /^\[Unit\]\nWants=/,
    'a node without a volume still comes up',
  )
})

const node = (change: Partial<Node>): Node => ({ name: 'n1', model: 'pi3b+', ...change }) as Node
const found: {
  name: string
  node: Partial<Node>
  layout: 'serial' | 'mac'
  names: string[]
  warns: boolean
}[] = [
  {
    name: 'serial of 16 digits',
    node: { serial: '10000000a1b2c3d4' },
    layout: 'serial',
    names: ['a1b2c3d4'],
    warns: false,
  },
  {
    name: 'MAC layout',
    node: { mac: 'dc:a6:32:00:00:01', serial: 'a1b2c3d4' },
    layout: 'mac',
    names: ['dc-a6-32-00-00-01'],
    warns: false,
  },
  {
    name: 'only the MAC is known',
    node: { mac: 'dc:a6:32:00:00:01' },
    layout: 'serial',
    names: ['dc-a6-32-00-00-01'],
    warns: true,
  },
  {
    name: 'a Pi 2 asks for no folder',
    node: { model: 'pi2', mac: 'b8:27:eb:00:00:01', serial: 'a1b2c3d4' },
    layout: 'serial',
    names: ['b8-27-eb-00-00-01'],
    warns: false,
  },
  {
    name: 'a Pi 2 by its serial',
    node: { model: 'pi2', serial: 'a1b2c3d4' },
    layout: 'serial',
    names: [],
    warns: true,
  },
  { name: 'unknown', node: {}, layout: 'serial', names: [], warns: true },
]
for (const { name, node: change, layout, names, warns } of found) {
  test(`tftpNames: ${name}`, () => {
    const answer = tftpNames(node(change), layout)
    assert.deepEqual(answer.names, names)
    assert.equal(answer.warning !== undefined, warns)
  })
}

test('TFTP gets nothing that only the system reads', () => {
  const one = new Uint8Array([1])
  const tree = planBootTree(
    {
      bootFiles: new Map([['overlays/mine.dtbo', one]]),
      withheld: ['user-data', 'Old.txt'],
      line: 'cmdline.txt',
    },
    { cmdline: 'root=/dev/nfs\n', config: '' },
  )
  assert.deepEqual([...tree.files.keys()].sort(), ['cmdline.txt', 'config.txt', 'overlays/mine.dtbo'])
  assert.deepEqual([...tree.without], ['user-data', 'old.txt'])
})
