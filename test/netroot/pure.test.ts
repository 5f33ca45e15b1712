/** The plain parts of a node's trees: command line, files of the root, names under which it is found. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../../src/cluster/node.ts'
import { planBootTree } from '../../src/netroot/boot-tree.ts'
import { cardHabitEdits, withoutCard } from '../../src/netroot/card-habits.ts'
import { type NetbootTarget, netbootCmdline } from '../../src/netroot/cmdline.ts'
import { withOwnName } from '../../src/netroot/identity.ts'
import type { RootEdit } from '../../src/netroot/root-edit.ts'
import type { RootFacts } from '../../src/netroot/root-facts.ts'
import { networkEdits } from '../../src/netroot/root-network.ts'
import { tftpNames } from '../../src/netroot/tftp-names.ts'
import { volumeEdits } from '../../src/netroot/volume.ts'

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

const lines: { name: string; card: string; left: string }[] = [
  {
    name: 'bullseye',
    card: 'console=serial0,115200 console=tty1 root=PARTUUID=9730496b-02 rootfstype=ext4 fsck.repair=yes rootwait quiet init=/usr/lib/raspi-config/init_resize.sh',
    left: 'console=serial0,115200 console=tty1',
  },
  {
    name: 'bookworm, and the switch that runs a script',
    card: 'console=tty1 root=PARTUUID=0de30de3-02 rootfstype=ext4 fsck.repair=yes rootwait cgroup_enable=memory systemd.run=/boot/firmware/piimage/install.sh systemd.run_success_action=reboot systemd.run_failure_action=reboot systemd.unit=kernel-command-line.target',
    left: 'console=tty1 cgroup_enable=memory',
  },
  {
    name: 'trixie',
    card: 'console=tty1 root=PARTUUID=0de30de3-02 rootfstype=ext4 fsck.repair=yes rootwait resize ds=nocloud;i=piimage-n1-0 cfg80211.ieee80211_regdom=NL',
    left: 'console=tty1 ds=nocloud;i=piimage-n1-0 cfg80211.ieee80211_regdom=NL',
  },
  // A token that merely starts like one of the card's is another token.
  {
    name: 'likeness',
    card: 'rootless=1 resizex=1 initcall_debug root=/dev/sda2',
    left: 'rootless=1 resizex=1 initcall_debug',
  },
  {
    name: 'clusterctrl',
    card: 'console=tty1 root=PARTUUID=1 init=/usr/sbin/reconfig-clusterctrl p3',
    left: 'console=tty1',
  },
]
for (const { name, card, left } of lines) {
  test(`netbootCmdline: ${name}`, () => {
    const line = netbootCmdline(card.split(' '), target)
    assert.equal(line, `${left} ${tail}`)
    assert.equal(netbootCmdline(line.trim().split(' '), target), line, 'nothing is said twice')
  })
}

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

test('fstab keeps what is not the card', () => {
  const fstab =
    'proc            /proc           proc    defaults          0       0\n' +
    'PARTUUID=9730496b-01  /boot/firmware  vfat    defaults          0       2\n' +
    'PARTUUID=9730496b-02  /               ext4    defaults,noatime  0       1\n' +
    '# a swapfile is not a swap partition, no line here\n/var/swap none swap sw 0 0\ntmpfs /tmp tmpfs nosuid 0 0\n'
  assert.equal(
    withoutCard(fstab),
    'proc            /proc           proc    defaults          0       0\n' +
      '# a swapfile is not a swap partition, no line here\ntmpfs /tmp tmpfs nosuid 0 0\n',
  )
  assert.equal(withoutCard('LABEL=x /boot vfat defaults 0 2\n'), '')
})

test('hosts has one line for the node itself', () => {
  const stock = '127.0.0.1\tlocalhost\n::1\tlocalhost\n\n127.0.1.1\traspberrypi\n'
  const hosts = withOwnName(stock, { name: 'n1', domain: 'lab.lan' })
  assert.equal(hosts, '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\tn1.lab.lan n1\n')
  assert.equal(withOwnName(hosts, { name: 'n1', domain: 'lab.lan' }), hosts)
  assert.equal(withOwnName('', { name: 'n1' }), '127.0.0.1\tlocalhost\n127.0.1.1\tn1\n')
})

const facts = (has: string[], more: Partial<RootFacts> = {}): RootFacts => ({
  fstab: '',
  hosts: '',
  dhcpcd: '',
  resolvLink: '',
  has: new Set(has),
  ...more,
})
const paths = (edits: readonly RootEdit[]): string[] => edits.map(({ path }) => path)
const textOf = (edits: readonly RootEdit[], path: string): string => {
  const edit = edits.find((one) => one.path === path)
  assert.ok(edit?.kind === 'file', `${path} is in ${paths(edits).join(' ')}`)
  return new TextDecoder().decode(edit.content)
}

test('units of a card are masked where the image has them, swap goes to memory', () => {
  const trixie = cardHabitEdits(
    facts([
      '/usr/lib/systemd/system/rpi-resize.service',
      '/usr/lib/systemd/system/systemd-growfs@.service',
      '/etc/rpi/swap.conf',
      '/etc/cloud',
    ]),
  )
  const masks = trixie.filter((edit) => edit.kind === 'link' && edit.target === '/dev/null')
  assert.deepEqual(paths(masks), [
    '/etc/systemd/system/rpi-resize.service',
    '/etc/systemd/system/systemd-growfs@.service',
  ])
  assert.equal(textOf(trixie, '/etc/rpi/swap.conf.d/90-piimage.conf'), '[Main]\nMechanism=zram\n')
  assert.match(
    textOf(trixie, '/etc/cloud/cloud.cfg.d/99-piimage-netroot.cfg'),
    /network: \{ config: disabled \}/,
  )
  const bullseye = cardHabitEdits(facts(['/etc/init.d/resize2fs_once', '/etc/init.d/dphys-swapfile']))
  assert.ok(paths(bullseye).includes('/etc/systemd/system/resize2fs_once.service'))
  assert.ok(paths(bullseye).includes('/etc/systemd/system/dphys-swapfile.service'))
  assert.ok(!paths(bullseye).some((path) => path.includes('cloud')))
})

const network = {
  device: 'eth0',
  ip: '10.3.50.11',
  prefix: 24,
  gateway: '10.3.50.1',
  dns: ['10.3.50.1'],
  domain: 'lab',
}

test('no daemon takes the interface of the root', () => {
  const nm = networkEdits(network, facts(['/etc/NetworkManager']))
  assert.match(
    textOf(nm, '/etc/NetworkManager/conf.d/90-piimage-netroot.conf'),
    /unmanaged-devices=interface-name:eth0/,
  )
  assert.equal(textOf(nm, '/etc/resolv.conf'), '# Written by piimage.\nsearch lab\nnameserver 10.3.50.1\n')
  const networkd = networkEdits(
    network,
    facts(['/etc/systemd/network'], { resolvLink: '../run/systemd/resolve/stub-resolv.conf' }),
  )
  assert.match(textOf(networkd, '/etc/systemd/network/00-piimage-eth0.network'), /KeepConfiguration=yes/)
  assert.match(textOf(networkd, '/etc/systemd/resolved.conf.d/90-piimage.conf'), /DNS=10\.3\.50\.1/)
  assert.ok(!paths(networkd).includes('/etc/resolv.conf'), 'the link to resolved stays')
  const dhcpcd = networkEdits(network, facts(['/etc/dhcpcd.conf'], { dhcpcd: 'hostname\n' }))
  assert.match(textOf(dhcpcd, '/etc/dhcpcd.conf'), /^hostname\n(.|\n)*\ndenyinterfaces eth0\n/)
})

test('containers find the volume mounted, whoever starts first', () => {
  const edits = volumeEdits('10.3.50.1', '/srv/v/n1')
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
  const files = ['piimage/secrets/x', 'user-data', 'ssh', 'overlays/mine.dtbo', 'piimage-receipt.json'].map(
    (path) => ({
      path,
      before: null,
      after: new Uint8Array([1]),
    }),
  )
  const removed = { path: 'old.txt', before: new Uint8Array(), after: null }
  const os = { bootMount: '/boot/firmware' }
  const tree = planBootTree(
    { node: 'n1', os, files: [...files, removed], secrets: [], warnings: [] } as never,
    { cmdline: 'root=/dev/nfs\n', config: '' },
  )
  assert.deepEqual([...tree.files.keys()].sort(), ['cmdline.txt', 'config.txt', 'overlays/mine.dtbo'])
  assert.ok(tree.without.has('old.txt') && tree.without.has('user-data') && tree.without.has('userconf.txt'))
})
