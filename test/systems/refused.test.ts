/** Systems that are refused by name, each as its project lays out its boot partition. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootFilesOf, bytesOf } from '../../src/boot/boot-files.ts'
import { FormatError } from '../../src/errors.ts'
import { detectSystem } from '../../src/systems/detect.ts'
import { stockBoot } from '../customise/stock.ts'

const bootOf = (texts: Record<string, string>) =>
  bootFilesOf(new Map(Object.entries(texts).map(([path, text]) => [path, bytesOf(text)])))

const layouts: { name: string; files: Record<string, string>; says: RegExp }[] = [
  {
    name: 'NOOBS',
    files: {
      'bootcode.bin': 'x',
      'recovery.cmdline':
        'runinstaller quiet ramdisk_size=32768 root=/dev/ram0 init=/init vt.cur_default=1\n',
      'recovery.img': 'x',
      'recovery.rfs': 'x',
      'os/Raspbian/os.json': '{}',
    },
    says: /^this is NOOBS or PINN \(recovery\.cmdline\): it is an installer/,
  },
  {
    name: 'LibreELEC',
    files: {
      'cmdline.txt': 'boot=UUID=1234-ABCD disk=UUID=11111111-2222-4333-8444-555555555555 quiet\n',
      'config.txt': '[all]\ninclude distroconfig.txt\n',
      'distroconfig.txt': 'disable_splash=1\n',
      'kernel.img': 'x',
      SYSTEM: 'x',
    },
    says: /^this is LibreELEC, CoreELEC or Lakka \(cmdline\.txt: disk=UUID=1{8}.*; SYSTEM\): its root is a read-only image/,
  },
  {
    name: 'CoreELEC',
    files: {
      'cmdline.txt': 'boot=LABEL=COREELEC disk=LABEL=STORAGE quiet\n',
      'kernel.img': 'x',
      SYSTEM: 'x',
    },
    says: /CoreELEC.*disk=LABEL=STORAGE/,
  },
  {
    name: 'Home Assistant OS',
    files: {
      'cmdline.txt': 'dwc_otg.lpm_enable=0 console=tty1 usb-storage.quirks=174c:55aa:u\n',
      'config.txt': "# HAOS - don't change it!\ndisable_splash=1\nkernel=u-boot.bin\narm_64bit=1\n",
      'boot.scr': 'x',
      'u-boot.bin': 'x',
    },
    says: /^this is Home Assistant OS \(config\.txt: kernel=u-boot\.bin; boot\.scr\): its root is a read-only image/,
  },
  {
    name: 'Batocera',
    files: {
      'cmdline.txt': 'label=BATOCERA rootwait quiet loglevel=0 console=tty3 root=/dev/ram0\n',
      'batocera-boot.conf': 'sharedevice=INTERNAL\n',
      'boot/linux': 'x',
      'boot/batocera.update': 'x',
    },
    says: /^this is Batocera \(batocera-boot\.conf\): its root is a read-only image/,
  },
  {
    name: 'Alpine in RAM',
    files: {
      'cmdline.txt': 'modules=loop,squashfs,sd-mod,usb-storage quiet console=tty1\n',
      'config.txt':
        'kernel=boot/vmlinuz-rpi\ninitramfs boot/initramfs-rpi\narm_64bit=1\ninclude usercfg.txt\n',
      'boot/vmlinuz-rpi': 'x',
      'boot/initramfs-rpi': 'x',
      'boot/modloop-rpi': 'x',
    },
    says: /^this is Alpine Linux \(boot\/modloop-rpi\): it has neither systemd nor apt/,
  },
  {
    name: 'Alpine, installed',
    files: {
      'cmdline.txt': 'root=/dev/mmcblk0p2 modules=sd-mod,usb-storage,ext4 quiet rootfstype=ext4\n',
      'config.txt': 'auto_initramfs=1\n',
      'boot/vmlinuz-rpi': 'x',
    },
    says: /^this is Alpine Linux \(boot\/vmlinuz-rpi\)/,
  },
  {
    name: 'image-rota of rpi-image-gen',
    files: {
      'cmdline.txt': 'console=serial0,115200 root=/dev/disk/by-slot/active/system rootwait ro\n',
      'config.txt': 'auto_initramfs=1\narm_64bit=1\n',
    },
    says: /^this is an image of rpi-image-gen with two slots \(cmdline\.txt: root=.*active\/system\): its root is a read-only image/,
  },
  {
    name: 'a boot partition in one signed file',
    files: { 'config.txt': 'uart_2ndstage=1\n', 'boot.img': 'x', 'boot.sig': 'x' },
    says: /^this is a boot partition inside boot\.img \(boot\.img; boot\.sig\): the firmware reads config\.txt/,
  },
  {
    name: 'a boot partition in one file that config.txt asks for',
    files: { 'config.txt': 'boot_ramdisk=1\n', 'boot.img': 'x' },
    says: /^this is a boot partition inside boot\.img \(boot\.img; config\.txt: boot_ramdisk=1\)/,
  },
  {
    name: 'OpenWrt',
    files: {
      'cmdline.txt':
        'console=serial0,115200 console=tty1 root=PARTUUID=5452574f-02 rootfstype=squashfs,ext4 rootwait\n',
      'config.txt': '# OpenWrt config\ninclude distroconfig.txt\n\n[all]\ndtparam=i2c_arm=on,audio=on\n',
      'distroconfig.txt': 'arm_64bit=1\n',
      'kernel8.img': 'x',
    },
    says: /^this is OpenWrt \(cmdline\.txt: rootfstype=squashfs,ext4\): it has neither systemd nor apt/,
  },
  {
    name: 'Ubuntu Core',
    files: {
      'config.txt': '[all]\nos_prefix=/piboot/ubuntu/pi-kernel_1/\nkernel=kernel.img\n',
      'cmdline.txt': 'dwc_otg.lpm_enable=0 console=serial0,115200 snapd_recovery_mode=install\n',
    },
    says: /^this is Ubuntu Core \(cmdline\.txt: snapd_recovery_mode=install\)/,
  },
  {
    name: 'Kali Linux, with what reads like Bookworm',
    files: {
      'cmdline.txt':
        'dwc_otg.fiq_fix_enable=2 console=serial0,115200 kgdboc=serial0,115200 console=tty1 root=PARTUUID=ed889dad-02 rootfstype=ext4 fsck.repair=yes rootwait net.ifnames=0\n',
      'config.txt': 'dtparam=audio=on\nauto_initramfs=1\n',
      'kernel8.img': 'x',
    },
    says: /^this is Kali Linux \(cmdline\.txt: dwc_otg\.fiq_fix_enable=2 net\.ifnames=0\): it is not one of the releases/,
  },
  {
    name: "Armbian, with cloud-init's seed",
    files: {
      'cmdline.txt':
        'console=serial0,115200 console=tty1 loglevel=1 root=LABEL=armbi_root rootfstype=ext4 fsck.repair=yes rootwait\n',
      'config.txt': 'auto_initramfs=1\n',
      'user-data': '#cloud-config\n',
      'meta-data': 'instance-id: armbian\n',
    },
    says: /^this is Armbian \(cmdline\.txt: root=LABEL=armbi_root\): its own first run/,
  },
  {
    name: 'Debian Buster',
    files: {
      'cmdline.txt':
        'console=tty0 console=ttyS1,115200 root=LABEL=RASPIROOT rw fsck.repair=yes net.ifnames=0 rootwait\n',
      'config.txt': 'arm_64bit=1\nenable_uart=1\nkernel=vmlinuz-4.19.0-17-arm64\n',
      'sysconf.txt': '# root_pw=\n# root_authorized_key=\n# hostname=rpi4\n',
    },
    says: /^this is Debian before Bullseye \(cmdline\.txt: root=LABEL=RASPIROOT; sysconf\.txt; config\.txt: kernel=vmlinuz-4\.19.*\): its ssh server/,
  },
]
for (const { name, files, says } of layouts) {
  test(`${name} is refused by name, with the reason and a way out`, async () => {
    await assert.rejects(detectSystem(bootOf(files)), (error: Error) => {
      assert.ok(error instanceof FormatError, error.stack)
      assert.match(error.message, says)
      // A system like it would be a card that never becomes its node.
      assert.doesNotMatch(error.hint ?? '', /--os/)
      assert.match(error.hint ?? '', /image/)
      return true
    })
  })
}

test('what a person says of the image counts all the same', async () => {
  const kali = layouts.find(({ name }) => name.startsWith('Kali'))
  const { os } = await detectSystem(bootOf(kali?.files ?? {}), 'raspios-bookworm')
  assert.deepEqual([os.release, os.evidence], ['bookworm', ['given by hand']])
})

test('RetroPie is a Raspberry Pi OS, with what it adds to the boot partition', async () => {
  const retropie = stockBoot('buster', { 'retropie.txt': 'es\n', 'splashscreens/list': 'x' })
  const { os } = await detectSystem(retropie)
  assert.deepEqual([os.family, os.release], ['raspios', 'buster'])
})
