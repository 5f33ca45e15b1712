/**
 * A card made by hand: the fixture image with a payload put on its FAT by
 * mtools. It proves the harness and firstboot/ without any of piimage's own
 * disk or customise code, and shows what that code must arrive at.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/package-root.ts'
import { run } from '../support/tools.ts'

export type Trigger = 'cloud-init' | 'systemd.run'

export interface HandMadeCard {
  card: string
  /** Private key of the user `ops`. */
  identity: string
  /** `ssh-ed25519 AAAA…` */
  hostKey: string
}

const firstPartition = 16384 * 512
const installer = '/boot/firmware/piimage/install.sh'
const passwordHash =
  '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'

function must(command: string, args: readonly string[], input?: string): string {
  const ran = run(command, args, {
    env: { MTOOLS_SKIP_CHECK: '1' },
    ...(input === undefined ? {} : { input }),
  })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout
}

function makeKey(path: string): string {
  must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path])
  return readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ')
}

/** @param folder gets `card.img`, the payload and the keys */
export function makeCard(image: string, folder: string, trigger: Trigger, address: string): HandMadeCard {
  const card = join(folder, 'card.img')
  must('sh', ['-c', 'xz -dc "$1" | dd of="$2" bs=1M conv=sparse status=none', 'sh', image, card])
  const payload = join(folder, 'piimage')
  const shipped = join(packageRoot(), 'firstboot')
  for (const name of ['units', 'early.d', 'firstboot.d', 'network', 'keys', 'secrets', 'files', 'log']) {
    mkdirSync(join(payload, name), { recursive: true })
  }
  for (const name of ['install.sh', 'run.sh', 'lib.sh', 'units']) {
    cpSync(join(shipped, name), join(payload, name), { recursive: true })
  }
  const early = ['hostname', 'user', 'ssh', 'host-keys', 'locale', 'network']
  for (const [index, name] of early.entries()) {
    cpSync(join(shipped, `steps/${name}.sh`), join(payload, `early.d/${(index + 1) * 10}-${name}.sh`))
  }
  cpSync(join(shipped, 'steps/clock.sh'), join(payload, 'firstboot.d/10-clock.sh'))
  const put = (path: string, text: string) => writeFileSync(join(payload, path), text)
  // Counts how often it ran, which must be once.
  put('firstboot.d/20-count.sh', 'set -eu\necho ran >>/var/lib/piimage/counted\n')
  put('node.json', '{"node":"oneil"}\n')
  put(
    'node.env',
    "PIIMAGE_NODE='oneil'\nPIIMAGE_HOSTNAME='oneil'\nPIIMAGE_DOMAIN='sgc.lan'\nPIIMAGE_USER='ops'\nPIIMAGE_SUDO_PASSWORD='no'\nPIIMAGE_TIMEZONE='America/New_York'\n",
  )
  put('files/000', 'hello\n')
  put('files.list', '0640 root adm /etc/hello.conf files/000\n')
  const gateway = address.replace(/\d+$/, '254')
  put(
    'network/eth0.network',
    `[Match]\nName=eth0\n[Network]\nDHCP=no\nAddress=${address}/24\nGateway=${gateway}\n`,
  )
  const identity = join(folder, 'id_ed25519')
  put('keys/authorized_keys', `${makeKey(identity)}\n`)
  const hostKey = makeKey(join(payload, 'secrets/ssh_host_ed25519_key'))
  put('secrets/password-hash', `${passwordHash}\n`)

  const volume = `${card}@@${firstPartition}`
  must('mcopy', ['-s', '-i', volume, payload, '::'])
  const stock = must('mtype', ['-i', volume, '::cmdline.txt']).trim()
  must('mdel', ['-i', volume, '::network-config', '::user-data', '::meta-data'])
  const putOnFat = (name: string, text: string) => must('mcopy', ['-o', '-i', volume, '-', `::${name}`], text)
  if (trigger === 'cloud-init') {
    putOnFat('user-data', `#cloud-config\nusers: []\nruncmd:\n- [ sh, ${installer} ]\n`)
    putOnFat('meta-data', 'instance-id: piimage-hand-made\n')
    putOnFat('cmdline.txt', `${stock} cgroup_enable=memory\n`)
  } else {
    putOnFat('issue.txt', 'Raspberry Pi reference 2024-11-19\n')
    putOnFat(
      'cmdline.txt',
      `${stock} cloud-init=disabled cgroup_enable=memory systemd.run=${installer} systemd.run_success_action=reboot systemd.unit=kernel-command-line.target\n`,
    )
  }
  return { card, identity, hostKey }
}
