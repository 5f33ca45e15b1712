/**
 * Two diskless nodes at once: what `piimage netroot` laid out is served by
 * dnsmasq and NFS, fetched as a Pi's boot ROM would, and booted. One has a root
 * of its own, an overlay on the server; the other shares its generation's.
 *
 * Slow, see first-boot.test.ts.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { machineId, sshHostKey } from '../../src/secrets/identity.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, run } from '../support/tools.ts'
import { IMAGE, makeClusterFolder, passwordHash } from './flashed-card.ts'
import { Guest, onThisBoard } from './guest.ts'
import { startHead } from './netboot-head.ts'
import { VirtualSwitch } from './virtual-switch.ts'

const program = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
const HEAD = '172.19.181.254'
const nodes = {
  oneil: { mode: 'overlay', ip: '172.19.181.1', mac: '2c:cf:67:85:78:01', serial: '8b857801' },
  carter: { mode: 'shared', ip: '172.19.181.2', mac: 'dc:a6:32:11:22:33', serial: '9c4a5b01' },
}
/** What each has as its root: type and source. */
const roots = {
  oneil: /^nfs +172\.19\.181\.254:\/srv\/piimage\/sgc\/nodes\/oneil\/.+\/merged$/,
  carter: /^overlay +overlay/,
}
type Name = keyof typeof nodes

const clusterFile = `cluster: sgc
image: ${IMAGE}
user: { name: ops, sshKeys: [id_ed25519.pub], passwordHash: '${passwordHash}' }
network: { cidr: 172.19.181.0/24, gateway: ${HEAD}, domain: sgc.lan }
overlays: [ssh, cgroups]
netroot: { server: hammond }
nodes:
  hammond: { model: pi4, address: ${HEAD}/24 }
  oneil: { model: pi5, boot: net, storage: 1G, address: ${nodes.oneil.ip}/24, mac: "${nodes.oneil.mac}", serial: "${nodes.oneil.serial}" }
  carter: { model: pi4, boot: net, storage: 1G, address: ${nodes.carter.ip}/24, mac: "${nodes.carter.mac}", serial: "${nodes.carter.serial}" }
`

function needed(t: TestContext): string | undefined {
  const image = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  if (image === undefined || !needRoot(t)) return undefined
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['ganesha.nfsd', 'nfs-ganesha nfs-ganesha-vfs'],
    ['rpcbind', 'rpcbind'],
    ['dnsmasq', 'dnsmasq-base'],
    ['busybox', 'busybox-static'],
    ['ip', 'iproute2'],
    ['ssh', 'openssh-client'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return undefined
  return image
}

/** The boot ROM's part, by busybox: an address for the MAC, then the files below the serial number. */
function fetchByTftp(lan: VirtualSwitch, name: Name, folder: string): string {
  const { ip, mac, serial } = nodes[name]
  const board = lan.attach(mac)
  try {
    const leased = board.run('busybox', ['udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-s', '/bin/true'])
    assert.match(leased.stdout + leased.stderr, new RegExp(`lease of ${ip} obtained`))
    board.setAddress(`${ip}/24`)
    for (const file of ['config.txt', 'kernel8.img', 'initramfs8', 'cmdline.txt']) {
      const words = ['tftp', '-g', '-b', '1468', '-r', `${serial}/${file}`, '-l', join(folder, file), HEAD]
      const got = board.run('busybox', words)
      assert.equal(got.status, 0, `${file}: ${got.stderr}`)
    }
  } finally {
    board.detach()
  }
  return readFileSync(join(folder, 'cmdline.txt'), 'utf8').trim()
}

test('two nodes without a card boot at once, each from its own root', async (t) => {
  const image = needed(t)
  if (image === undefined) return
  const guests = new Map<Name, Guest>()
  let lanToClose: VirtualSwitch | undefined
  const folder = tempFolder(t, () => {
    for (const guest of guests.values()) guest.kill()
    lanToClose?.close()
  })
  const identity = makeClusterFolder(image, folder, 'cloud-init', clusterFile)
  const prefix = join(folder, 'head')
  mkdirSync(join(prefix, 'etc'), { recursive: true })
  writeFileSync(join(prefix, 'etc/exports'), '')
  for (const [name, { mode }] of Object.entries(nodes)) {
    const words = ['netroot', '--prefix', prefix, '--node', name, '--root-mode', mode]
    const laidOut = await runPiimage(folder, [...words, '--cache', join(folder, 'cache')])
    assert.equal(laidOut.status, 0, laidOut.stderr)
  }
  rmSync(join(folder, 'image.img'))
  const laidOutMark = join(folder, 'laid-out')
  writeFileSync(laidOutMark, '')

  const lan = new VirtualSwitch(`${HEAD}/24`)
  lanToClose = lan
  const head = await startHead(lan, prefix, HEAD, join(folder, 'servers'))
  const words = ['netroot', 'verify', '--cluster', join(folder, 'cluster.yaml')]
  const verified = head.inside(process.execPath, [program, ...words])
  assert.equal(verified.status, 0, verified.stdout + verified.stderr)
  const key = await readClusterKey(join(folder, 'cluster.key'))
  for (const [name, { ip, mac }] of Object.entries(nodes) as [Name, (typeof nodes)[Name]][]) {
    const own = join(folder, name)
    mkdirSync(own)
    const cmdline = fetchByTftp(lan, name, own)
    const hostKey = sshHostKey(key, name).publicLine.split(' ').slice(0, 2).join(' ')
    guests.set(
      name,
      new Guest({
        ...{ folder: own, user: 'ops', identity, hostKey, host: ip, port: 22, netns: lan.netns },
        devices: lan.plug(mac),
        firmware: () => onThisBoard(cmdline),
      }),
    )
  }
  const poweredOn = Date.now()
  const seconds = () => Math.round((Date.now() - poweredOn) / 1000)
  for (const guest of guests.values()) guest.start()
  try {
    await Promise.all(
      [...guests].map(async ([name, guest]) => {
        await guest.waitForSsh()
        t.diagnostic(`${name}: ssh after ${seconds()} s`)
        await guest.waitForConsole(new RegExp(`piimage: ${name}: firstboot done`), 600_000)
        t.diagnostic(`${name}: first boot done after ${seconds()} s`)
      }),
    )
  } finally {
    for (const [name, guest] of guests)
      if (process.env.PIIMAGE_KEEP_CONSOLE !== undefined)
        writeFileSync(`${process.env.PIIMAGE_KEEP_CONSOLE}-diskless-${name}.log`, guest.console())
  }
  const said = async (name: Name, command: string): Promise<string> => {
    const ran = await guests.get(name)?.ssh(command)
    assert.equal(ran?.status, 0, `${name}: ${command}: ${ran?.stderr}`)
    return ran?.stdout.trim() ?? ''
  }
  const state = join(prefix, 'srv/piimage/sgc')
  for (const name of Object.keys(nodes) as Name[]) {
    assert.equal(await said(name, 'hostname'), name)
    assert.equal(await said(name, 'cat /etc/machine-id'), machineId(key, name))
    assert.equal(await said(name, 'ls /etc/ssh/ssh_host_*_key'), '/etc/ssh/ssh_host_ed25519_key')
    assert.match(await said(name, 'findmnt -n -o FSTYPE,SOURCE /'), roots[name])
    assert.match(await said(name, 'findmnt -n -o FSTYPE,SOURCE /var/lib/docker'), /^ext4 +\/dev\/loop/)
    await said(name, `echo ${name} | sudo tee /var/lib/docker/whose /etc/whose-${name}`)
    assert.equal(await said(name, 'systemctl list-units --failed --plain --no-legend'), '')
  }
  assert.equal(await said('carter', 'ls /etc/whose-*'), '/etc/whose-carter')
  assert.equal(await said('oneil', 'ls /etc/whose-*'), '/etc/whose-oneil')

  await Promise.all([...guests.values()].map((guest) => guest.shutdown()))
  const changed = run('find', [join(state, 'generations'), '-cnewer', laidOutMark])
  assert.equal(changed.stdout, '', 'what the nodes share is as it was laid out')
  for (const name of Object.keys(nodes)) {
    const volume = `/srv/piimage/sgc/volumes/${name}/export/storage.ext4`
    assert.equal(head.inside('e2fsck', ['-fn', volume]).status, 0)
    assert.equal(head.inside('debugfs', ['-R', 'cat /docker/whose', volume]).stdout, `${name}\n`)
  }
})
