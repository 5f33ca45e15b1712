/**
 * Accounts and groups that systems for the Pi bring along. A login user of that name
 * would be refused by useradd, or would become the system's own account.
 *
 * Source: base-passwd 3.6 (passwd.master, group.master); the accounts of Raspberry Pi OS
 * and of the packages that it and piimage's overlays install.
 */
const names = new Set(
  `
_apt backup bin daemon games irc list lp mail man news nobody proxy root sync sys uucp www-data
adm audio cdrom dialout dip disk fax floppy kmem nogroup operator plugdev sasl shadow src staff sudo tape tty users
utmp video voice gnats
clock crontab gpio i2c input kvm lpadmin messagebus netdev render scanner sgx spi ssh sshd
avahi bluetooth colord containerd dhcpcd dnsmasq docker etcd geoclue lightdm nm-openvpn ntp polkitd pulse rtkit saned
statd tss usbmux uuidd vnc
`
    .trim()
    .split(/\s+/),
)

export const isSystemAccount = (name: string): boolean => names.has(name) || name.startsWith('systemd-')
