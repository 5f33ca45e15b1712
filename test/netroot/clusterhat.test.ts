/** Zeros on a ClusterHAT: an archive as the image, the wire that ClusterCTRL's initramfs makes, its folders. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { needRoot, needTool, run } from '../support/tools.ts'
import { listing } from './diskless.ts'
import { hatProject, STATE } from './hat-project.ts'

test('Zeros boot over USB from an archive: a root, a slot and an export for each', async (t) => {
  if (!needRoot(t) || needTool(t, 'xz', 'xz-utils') === undefined) return
  const project = hatProject(t)
  const before = existsSync(project.server('/'))
  const dry = await project.netroot('--dry-run')
  assert.equal(dry.status, 0, dry.stderr)
  assert.equal(existsSync(project.server('/')), before)
  mkdirSync(project.server('/srv'), { recursive: true })
  const empty = listing(project.server('/'))

  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 0, said.stderr)
  const unmount = project.mount()
  for (const { name, usbSlot, ip, rootFolder, tftpNames, exports } of project.served().nodes) {
    assert.equal(ip, `172.19.180.${usbSlot}`)
    assert.deepEqual(tftpNames, [])
    assert.deepEqual(
      exports.map(({ client }: { client: string }) => client),
      [ip],
    )
    const slot = project.server(`/var/lib/clusterctrl/nfs/p${usbSlot}`)
    assert.equal(readlinkSync(join(slot, 'boot')), `${STATE}/nodes/${name}/current/boot`)
    const boot = realpathSync(project.server(`${STATE}/nodes/${name}/current/boot`))
    const cmdline = readFileSync(join(boot, 'firmware/cmdline.txt'), 'utf8')
    // As nfs-top/00_clusterctrl reads it.
    const id = run('sed', ['s#.*:p\\(.*\\):usb0.10.*#\\1#'], { input: cmdline }).stdout.trim()
    assert.equal(id, String(usbSlot))
    assert.match(
      cmdline,
      new RegExp(
        `nfsroot=172\\.19\\.180\\.254:${rootFolder},vers=3,.* ip=${ip}:172\\.19\\.180\\.254::255\\.255\\.255\\.0:p${usbSlot}:usb0\\.10:off `,
      ),
    )
    assert.equal(statSync(join(boot, 'kernel.img')).mode & 0o777, 0o644)
    const root = project.server(rootFolder)
    assert.equal(readFileSync(join(root, 'etc/hostname'), 'utf8'), `${name}\n`)
    assert.equal(readFileSync(join(root, 'etc/fstab'), 'utf8'), 'proc /proc proc defaults 0 0\n')
    assert.ok(!existsSync(join(root, 'etc/ssh/ssh_host_rsa_key')), 'the key of everybody is gone')
    assert.ok(!existsSync(join(root, 'boot/firmware/kernel.img')))
    assert.ok(existsSync(join(root, 'boot/firmware/piimage/install.sh')))
  }
  unmount()
  const exports = readFileSync(project.server('/etc/exports.d/piimage.exports'), 'utf8')
  assert.match(exports, / 172\.19\.180\.1\(rw,/)
  assert.match(exports, / 172\.19\.180\.2\(rw,/)
  assert.ok(!existsSync(project.server('/etc/dnsmasq.d/piimage-netroot.conf')), 'nobody asks dnsmasq')

  assert.equal((await project.netroot('remove', '--yes')).status, 0)
  assert.deepEqual(listing(project.server('/')), empty)
})

test("somebody else's tree in a slot is not replaced", async (t) => {
  if (!needRoot(t)) return
  const project = hatProject(t)
  mkdirSync(project.server('/var/lib/clusterctrl/nfs/p2/boot'), { recursive: true })
  const said = await project.netroot('--root-mode', 'copy')
  assert.equal(said.status, 7)
  assert.match(said.stderr, /p2\/boot is there and not piimage's/)
})
