/**
 * Every system that piimage knows, from a cluster file to a card: planned,
 * baked, judged by fsck.fat and mtools, inspected.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needTool, run } from '../support/tools.ts'
import { type Family, familyProject, PASSWORD_HASH, PSK } from './family-project.ts'

const scripted = ['piimage/early.d/20-user.sh', 'piimage/secrets/password-hash', 'ssh']
const seeded = ['user-data', 'meta-data', 'piimage/install.sh']
const runs = (boot: string) =>
  `systemd\\.run=${boot}/piimage/install\\.sh systemd\\.run_success_action=reboot systemd\\.run_failure_action=reboot systemd\\.unit=kernel-command-line\\.target`
const warnsOfPassword = /warning: the ssh server of .* goes on taking the password of ops/

const rootIsOpen = /warning: root has no password on Debian's image/

const families: Family[] = [
  {
    name: 'stretch',
    image: 'raspios-stretch-armhf-lite@2018-11-13',
    system: 'raspios stretch',
    evidence: /no start4\.elf: older than the Pi 4; issue\.txt: Raspberry Pi reference 2018-11-13/,
    volume: 'FAT32 boot',
    files: [...scripted, 'piimage/init', 'cmdline.txt.piimage-orig'],
    cmdline: / quiet .* init=\/bin\/bash -c "mount -t proc .*source \/boot\/piimage\/init"\n$/,
    model: 'pi3b',
    warns: warnsOfPassword,
  },
  {
    name: 'buster',
    image: 'raspios-buster-armhf-lite@2020-08-20',
    system: 'raspios buster',
    evidence: /start4\.elf, and no camera_auto_detect/,
    volume: 'FAT32 boot',
    files: scripted,
    cmdline: new RegExp(` init=/usr/lib/raspi-config/init_resize\\.sh .* ${runs('/boot')}\n$`),
    warns: warnsOfPassword,
  },
  {
    name: 'bullseye',
    image: 'raspios-bullseye-armhf-lite@2023-05-03',
    system: 'raspios bullseye',
    evidence: /cmdline\.txt: init=\/usr\/lib\/raspberrypi-sys-mods\/firstboot/,
    volume: 'FAT32 bootfs',
    files: scripted,
    cmdline: new RegExp(` init=/usr/lib/raspberrypi-sys-mods/firstboot .* ${runs('/boot')}\n$`),
  },
  {
    name: 'bookworm',
    image: 'raspios-bookworm-arm64-lite@2025-05-13',
    system: 'raspios bookworm',
    evidence: /config\.txt: auto_initramfs=1/,
    volume: 'FAT32 bootfs',
    files: [...scripted, 'piimage/network/eth0.nmconnection'],
    cmdline: new RegExp(
      ` init=/usr/lib/raspberrypi-sys-mods/firstboot .*cgroup_enable=memory ${runs('/boot/firmware')}\n$`,
    ),
    model: 'pi5',
  },
  {
    name: 'trixie-first',
    image: 'raspios-trixie-arm64-lite@2025-10-01',
    system: 'raspios trixie',
    evidence: /cmdline\.txt: resize; issue\.txt: Raspberry Pi reference 2025-10-01/,
    volume: 'FAT32 bootfs',
    files: scripted,
    cmdline: new RegExp(` rootwait resize .* ${runs('/boot/firmware')}\n$`),
  },
  {
    name: 'trixie',
    image: 'raspios-trixie-arm64-lite@2026-06-18',
    system: 'raspios trixie',
    evidence: /user-data and meta-data: cloud-init reads this partition/,
    volume: 'FAT32 bootfs',
    files: [...seeded, 'network-config'],
    cmdline: / rootwait resize .* ds=nocloud;i=piimage-oneil-[0-9a-f]{12}\n$/,
  },
  {
    name: 'trixie-preseed',
    image: 'raspios-trixie-arm64-lite@2026-07-22',
    system: 'raspios trixie',
    evidence: /cmdline\.txt: resize; issue\.txt: Raspberry Pi reference 2026-07-22/,
    volume: 'FAT32 bootfs',
    files: [...scripted, 'rpi-preseed.toml'],
    cmdline: new RegExp(` rootwait resize .* ${runs('/boot/firmware')}\n$`),
    warns:
      /warning: the image's own rpi-preseed\.toml is replaced \(system\.hostname, user\.name, user\.password, user\.password_encrypted, ssh\.enabled, ssh\.authorized_keys\)\n/,
  },
  {
    name: 'image-gen',
    image: 'raspios-trixie-arm64-slim@2026-08-13',
    system: 'raspios trixie',
    evidence: /cmdline\.txt: root=\/dev\/disk\/by-slot\/system/,
    volume: 'FAT32 BOOT',
    files: scripted,
    cmdline: new RegExp(` root=/dev/disk/by-slot/system .* ${runs('/boot/firmware')}\n$`),
  },
  {
    name: 'debian-bookworm',
    image: 'debian-bookworm-arm64-raspi@2023-11-09',
    system: 'debian bookworm',
    evidence:
      /cmdline\.txt: root=LABEL=RASPIROOT; sysconf\.txt; config\.txt: kernel=vmlinuz-6\.1\.0-13-arm64/,
    volume: 'FAT32 RASPIFIRM',
    files: [...scripted, 'piimage/network/eth0.interfaces', 'sysconf.txt'],
    cmdline: new RegExp(
      `^console=tty0 .* net\\.ifnames=0 rootwait cfg80211\\.ieee80211_regdom=US cgroup_enable=memory ${runs('/boot/firmware')}\n$`,
    ),
    warns: rootIsOpen,
    kept: 'cfg80211.ieee80211_regdom=US cgroup_enable=memory\n',
  },
  {
    name: 'debian-trixie',
    image: 'debian-trixie-arm64-raspi@2026-03-01',
    system: 'debian trixie',
    evidence: /kernel=vmlinuz-6\.12\.48/,
    volume: 'FAT32 RASPIFIRM',
    files: scripted,
    cmdline: new RegExp(` root=LABEL=RASPIROOT .* ${runs('/boot/firmware')}\n$`),
    warns: rootIsOpen,
    kept: 'cfg80211.ieee80211_regdom=US cgroup_enable=memory\n',
  },
  {
    name: 'dietpi',
    image: 'dietpi-trixie-arm64-rpi@2026-02-14',
    system: 'dietpi bookworm',
    evidence: /dietpi\.txt; config\.txt: auto_initramfs=1/,
    volume: 'FAT32 bootfs',
    files: ['dietpi.txt', 'Automation_Custom_PreScript.sh', 'piimage/early.d/20-user.sh'],
    cmdline: /^root=PARTUUID=.* console=tty1 cfg80211\.ieee80211_regdom=US cgroup_enable=memory\n$/,
    warns:
      /warning: DietPi runs a cable or Wi-Fi, not both: eth0 is set up, and the Wi-Fi Cheyenne Mountain is not/,
  },
  {
    name: 'dietpi-bullseye',
    image: 'dietpi-bullseye-armhf-rpi@2023-06-01',
    system: 'dietpi bullseye',
    evidence: /dietpi\.txt/,
    volume: 'FAT32 boot',
    files: ['dietpi.txt', 'Automation_Custom_PreScript.sh'],
    cmdline: /^root=PARTUUID=/,
    warns: /a cable or Wi-Fi, not both/,
  },
  {
    name: 'ubuntu-24.04',
    image: 'ubuntu-noble-arm64-server@24.04.4',
    system: 'ubuntu 22.04',
    evidence: /cmdline\.txt: root=LABEL=writable; config\.txt: kernel=vmlinuz/,
    volume: 'FAT32 system-boot',
    files: [...seeded, 'network-config'],
    cmdline: / root=LABEL=writable .* fixrtc cfg80211\.ieee80211_regdom=US cgroup_enable=memory.*\n$/,
  },
  {
    name: 'ubuntu-26.04',
    image: 'ubuntu-resolute-arm64-server@26.04',
    system: 'ubuntu 25.10',
    evidence:
      /cmdline\.txt: root=LABEL=writable; config\.txt: kernel=vmlinuz; config\.txt: os_prefix=current\//,
    volume: 'FAT32 system-boot',
    files: [...seeded, 'network-config'],
    cmdline: / root=LABEL=writable .* fixrtc cfg80211\.ieee80211_regdom=US cgroup_enable=memory\n$/,
    cmdlinePath: 'current/cmdline.txt',
  },
  {
    name: 'hypriotos-1.0',
    image: 'hypriotos-jessie-armhf-rpi@1.0.0',
    system: 'hypriotos 1.0',
    evidence: /os-release: HYPRIOT_IMAGE_VERSION=1\.0\.0/,
    volume: 'FAT16 HypriotOS',
    files: [...scripted, 'device-init.yaml', 'piimage/init'],
    cmdline: /^\+dwc_otg\.lpm_enable=0 .* init=\/bin\/bash -c "/,
    model: 'pi3b',
    warns: warnsOfPassword,
  },
  {
    name: 'hypriotos-1.9',
    image: 'hypriotos-stretch-armhf-rpi@1.9.0',
    system: 'hypriotos 1.7',
    evidence: /HYPRIOT_IMAGE_VERSION=1\.9\.0/,
    volume: 'FAT16 HypriotOS',
    files: [...seeded, 'piimage/early.d/35-network.sh', 'piimage/network/dhcpcd.conf'],
    cmdline: / init=\/usr\/lib\/raspi-config\/init_resize\.sh cfg80211/,
    model: 'pi3b',
    warns: /warning: the image's own user-data is replaced \(runcmd\)\n/,
  },
  {
    name: 'hypriotos-1.12',
    image: 'hypriotos-buster-armhf-rpi@1.12.3',
    system: 'hypriotos 1.12.1',
    evidence: /HYPRIOT_IMAGE_VERSION=1\.12\.3/,
    volume: 'FAT16 HypriotOS',
    files: [...seeded, 'network-config', 'fake-hwclock.data', 'piimage/secrets/network/wpa_supplicant.conf'],
    cmdline: / init=\/usr\/lib\/raspi-config\/init_resize\.sh cfg80211/,
    warns:
      /warning: the image's own fake-hwclock\.data is replaced \(2020-07-02 14:17:05 → 2026-11-20 00:00:00\)\n.*warning: the image's own user-data is replaced \(runcmd\)\n/,
  },
  {
    name: 'hypriotos-arm64',
    image: 'hypriotos-stretch-arm64-rpi@20180429-184538',
    system: 'hypriotos arm64',
    evidence: /HYPRIOT_IMAGE_VERSION=20180429-184538/,
    volume: 'FAT16 HypriotOS',
    files: [...seeded, 'piimage/network/eth0.interfaces'],
    cmdline: /^\+dwc_otg\.lpm_enable=0 .*cfg80211\.ieee80211_regdom=US cgroup_memory=1\n$/,
    model: 'pi3b',
    warns: /warning: the image's own user-data is replaced \(runcmd\)\n/,
  },
  {
    name: 'clusterctrl-buster',
    image: 'clusterctrl-buster-armhf-lite@2019-07-10',
    system: 'clusterctrl buster',
    evidence: /cmdline\.txt: init=\/sbin\/reconfig-clusterctrl p3;/,
    volume: 'FAT32 boot',
    files: scripted,
    cmdline: new RegExp(`${runs('/boot')} init=/sbin/reconfig-clusterctrl p3\n$`),
    model: 'zerow',
    clusterhat: 'p3',
    warns: warnsOfPassword,
  },
  {
    name: 'clusterctrl-bullseye',
    image: 'clusterctrl-bullseye-armhf-lite@2023-05-03',
    system: 'clusterctrl bullseye',
    evidence: /cmdline\.txt: init=\/usr\/sbin\/reconfig-clusterctrl p252;/,
    volume: 'FAT32 bootfs',
    files: scripted,
    cmdline: new RegExp(`${runs('/boot')} init=/usr/sbin/reconfig-clusterctrl p252\n$`),
    model: 'zerow',
    clusterhat: 'p252',
  },
  {
    name: 'clusterctrl-bookworm',
    image: 'clusterctrl-bookworm-armhf-lite@2025-11-24',
    system: 'clusterctrl bookworm',
    evidence: /cmdline\.txt: init=\/usr\/sbin\/reconfig-clusterctrl cnat; config\.txt: auto_initramfs=1/,
    volume: 'FAT32 bootfs',
    files: scripted,
    cmdline: new RegExp(`${runs('/boot/firmware')} init=/usr/sbin/reconfig-clusterctrl cnat\n$`),
    clusterhat: 'cnat',
  },
]

for (const family of families) {
  test(`${family.name}: a cluster file becomes a card`, async (t) => {
    const fsck = needTool(t, 'fsck.fat', 'dosfstools')
    const e2fsck = needTool(t, 'e2fsck', 'e2fsprogs')
    if (fsck === undefined || e2fsck === undefined) return
    const project = familyProject(t, family)
    if (project === undefined) return

    const stock = await project.piimage('inspect', project.file('stock.img'))
    assert.equal(stock.status, 0, stock.stderr)
    assert.match(stock.stdout, new RegExp(`${family.volume}\n.*ext4 (?:root|raspiroot|writable)`, 'i'))
    assert.match(stock.stdout, new RegExp(`^system: ${family.system} \\(`, 'm'))

    const planned = await project.piimage('plan')
    assert.equal(planned.status, 0, planned.stderr)
    assert.match(planned.stdout, new RegExp(`^node oneil: ${family.system}, started by `, 'm'))
    assert.match(planned.stdout, /^ {2}found /m)
    if (family.warns === undefined) assert.doesNotMatch(planned.stdout, /warning/)
    else assert.match(planned.stdout, family.warns)
    for (const secret of [PASSWORD_HASH, PSK, 'PRIVATE KEY'])
      assert.ok(!planned.stdout.includes(secret), `the plan does not show ${secret}`)

    const baked = await project.piimage('bake', '--all', '-o', project.file('out'))
    assert.equal(baked.status, 0, baked.stderr)
    const card = project.file('out/oneil.img')
    const checked = await project.piimage('inspect', card, '--check')
    assert.equal(checked.status, 0, checked.stderr)
    assert.match(checked.stdout, /equal to the plan for oneil/)
    assert.match(checked.stdout, new RegExp(`^system: ${family.system} \\(.*${family.evidence.source}`, 'm'))
    assert.match(checked.stdout, /node: oneil of cluster sgc/)

    const [boot, root] = partitions(card)
    const volume = project.file('boot.fat')
    copyOut(card, boot, volume)
    const fat = run(fsck, ['-n', volume])
    assert.equal(fat.status, 0, fat.stdout)
    const rootVolume = project.file('root.ext4')
    copyOut(card, root, rootVolume)
    assert.equal(run(e2fsck, ['-fn', rootVolume]).status, 0)

    const image = `${card}@@${boot.start * 512}`
    for (const path of family.files) assert.equal(mtools('mtype', image, path).status, 0, `${path} is there`)
    const { cmdlinePath = 'cmdline.txt' } = family
    assert.match(mtools('mtype', image, cmdlinePath).stdout, family.cmdline)
    assert.equal(mtools('mtype', image, cmdlinePath).stdout.split('\n').length, 2, 'cmdline.txt is one line')
    if (family.kept !== undefined) {
      // What writes cmdline.txt anew with the next kernel reads it there.
      const list = mtools('mtype', image, 'piimage/files.list').stdout
      const source = /^0644 root root \/etc\/default\/raspi-extra-cmdline (\S+)$/m.exec(list)?.[1]
      assert.equal(mtools('mtype', image, `piimage/${source}`).stdout, family.kept)
    }
    for (const [path, text] of stockTexts(project.file('stock.img'), boot.start)) {
      assert.equal(mtools('mtype', image, path).stdout, text, `${path} is as it was`)
    }
  })
}

test('an image that shows nothing of itself is refused with what it holds, and --os is believed', async (t) => {
  const family = families.find(({ name }) => name === 'bullseye')
  assert.ok(family)
  const project = familyProject(t, family, (image) => {
    const volume = `${image}@@${8192 * 512}`
    const env = { MTOOLS_SKIP_CHECK: '1' }
    const line = 'console=tty1 root=/dev/mmcblk0p2 rootwait\n'
    assert.equal(run('mcopy', ['-o', '-i', volume, '-', '::cmdline.txt'], { input: line, env }).status, 0)
    assert.equal(run('mdel', ['-i', volume, '::issue.txt', '::config.txt'], { env }).status, 0)
  })
  if (project === undefined) return
  const refused = await project.piimage('plan')
  assert.equal(refused.status, 4, refused.stderr)
  assert.match(refused.stderr, /no known system lies on this boot partition: it holds .*bootcode\.bin/)
  assert.match(refused.stderr, /--os .*raspios-bullseye/)
  const wrong = await project.piimage('plan', '--os', 'raspios-potato')
  assert.equal(wrong.status, 2)
  assert.match(wrong.stderr, /no system "raspios-potato"/)
  const planned = await project.piimage('plan', '--os', 'raspios-bullseye')
  assert.equal(planned.status, 0, planned.stderr)
  assert.match(
    planned.stdout,
    /raspios bullseye, started by systemd\.run, boot partition at \/boot\n {2}found given by hand/,
  )
  const baked = await project.piimage('bake', '--all', '--os', 'raspios-bullseye', '-o', project.file('out'))
  assert.equal(baked.status, 0, baked.stderr)
  const card = project.file('out/oneil.img')
  assert.equal((await project.piimage('inspect', card, '--check', '--os', 'raspios-bullseye')).status, 0)
})

interface Extent {
  /** 512-byte sectors. */
  start: number
  sectors: number
}

function partitions(card: string): [Extent, Extent] {
  const { partitiontable } = JSON.parse(run('sfdisk', ['-J', card]).stdout) as {
    partitiontable: { partitions: { start: number; size: number }[] }
  }
  const [boot, root] = partitiontable.partitions.map(({ start, size }) => ({ start, sectors: size }))
  if (boot === undefined || root === undefined) assert.fail('two partitions')
  return [boot, root]
}

function copyOut(card: string, { start, sectors }: Extent, path: string): void {
  const copied = run('dd', [
    `if=${card}`,
    `of=${path}`,
    'bs=1M',
    'iflag=skip_bytes,count_bytes',
    `skip=${start * 512}`,
    `count=${sectors * 512}`,
    'conv=sparse',
    'status=none',
  ])
  assert.equal(copied.status, 0, copied.stderr)
}

const mtools = (command: string, image: string, path: string) =>
  run(command, ['-i', image, `::${path}`], { env: { MTOOLS_SKIP_CHECK: '1' } })

/** What no plan touches. */
function stockTexts(image: string, start: number): [string, string][] {
  const volume = `${image}@@${start * 512}`
  return ['issue.txt', 'os-release', 'overlays/README', 'sysconf.txt'].flatMap((path): [string, string][] => {
    const { status, stdout } = mtools('mtype', volume, path)
    return status === 0 ? [[path, stdout]] : []
  })
}
