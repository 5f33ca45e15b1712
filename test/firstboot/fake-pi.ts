/**
 * A Pi made of folders: a root, a FAT with piimage's payload, and a PATH whose
 * first folder holds stand-ins for what only root or a real Pi can do (owners,
 * accounts, systemd). Everything else is the machine's own tools, and the
 * scripts are the shipped ones, run by the shell the test asks for.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool } from '../support/tools.ts'

export type ShellName = 'dash' | 'bash' | 'busybox'
export const shells: ShellName[] = ['dash', 'bash', 'busybox']

/** Strings that must be nowhere on the FAT once the payload is installed. */
export const secretTexts = ['HOST-PRIVATE-KEY', '$6$salt$PASSWORDHASH', 'WIFI-PSK']

export const nodeEnv = `PIIMAGE_NODE='oneil'
PIIMAGE_CLUSTER='sgc'
PIIMAGE_ROLE='worker'
PIIMAGE_HOSTNAME='oneil'
PIIMAGE_DOMAIN='sgc.lan'
PIIMAGE_USER='ops'
PIIMAGE_SUDO_PASSWORD='no'
PIIMAGE_TIMEZONE='America/New_York'
PIIMAGE_KEYMAP='us'
PIIMAGE_LOCALE='C.UTF-8'
PIIMAGE_WIFI_COUNTRY='US'
PIIMAGE_DOCKER_NOTE='it'\\''s "quoted" $HOME'
`

export const trigger =
  'systemd.run=/boot/firmware/piimage/install.sh systemd.run_success_action=reboot systemd.unit=kernel-command-line.target'
export const stockCmdline =
  'console=serial0,115200 root=PARTUUID=7a3f1c55-02 rootfstype=ext4 rootwait cgroup_enable=memory'

export interface FakePi {
  /** Holds everything below. */
  folder: string
  root: string
  boot: string
  /** The payload on the FAT. */
  fat: string
  /** First folder of PATH. */
  bin: string
}

export interface Ended {
  status: number | null
  signal: string | null
  output: string
}

/** Write files, with their folders, below a folder. */
export function lay(folder: string, files: Record<string, string>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

/** A stand-in program. */
export function stub(pi: FakePi, name: string, script: string): void {
  writeFileSync(join(pi.bin, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(pi.bin, name), 0o755)
}

/** What the stand-ins were asked, in order. */
export function calls(pi: FakePi): string[] {
  const path = join(pi.folder, 'calls')
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

const record = (pi: FakePi) => `printf '%s %s\\n' "\${0##*/}" "$*" >>'${join(pi.folder, 'calls')}'`

/** Stand-ins that keep account files the way the shadow tools do, as far as the steps go. */
function stubAccounts(pi: FakePi): void {
  const passwd = join(pi.root, 'etc/passwd')
  const group = join(pi.root, 'etc/group')
  const note = record(pi)
  stub(
    pi,
    'usermod',
    `${note}; shift 2; for last; do :; done
case $1 in
  -l) sed -i "s/^$3:/$2:/" '${passwd}' ;;
  -d) sed -i "s|^\\($3:[^:]*:[^:]*:[^:]*:[^:]*:\\)[^:]*|\\1$2|" '${passwd}' ;;
  -s) sed -i "s|^\\($3:.*:\\)[^:]*$|\\1$2|" '${passwd}' ;;
esac`,
  )
  stub(pi, 'groupmod', `${note}; shift 2; sed -i "s/^$3:/$2:/" '${group}'`)
  stub(
    pi,
    'useradd',
    `${note}; for name; do :; done
echo "$name:x:1000:1000::/home/$name:/bin/bash" >>'${passwd}'; echo "$name:x:1000:" >>'${group}'
mkdir -p '${pi.root}/home/'"$name"`,
  )
  stub(pi, 'chpasswd', `${note}; cat >'${join(pi.root, 'etc/shadow')}'`)
}

export interface FakePiOptions {
  shell?: ShellName
  cmdline?: string
  /** Unit whose link says which daemon keeps the network. */
  daemon?: string
  earlySteps?: string[]
  /** Steps of firstboot.d by file name. */
  steps?: Record<string, string>
}

const allSteps = ['hostname', 'user', 'ssh', 'host-keys', 'locale', 'network', 'wifi']

/**
 * A card's FAT as piimage writes it, and a system that has not seen it yet.
 * @returns undefined after the test was skipped for want of the shell
 */
export function fakePi(t: TestContext, options: FakePiOptions = {}): FakePi | undefined {
  const shell = needTool(t, options.shell ?? 'dash', options.shell ?? 'dash')
  if (shell === undefined) return undefined
  const folder = tempFolder(t)
  const boot = join(folder, 'root/boot/firmware')
  const pi = {
    folder,
    root: join(folder, 'root'),
    boot,
    fat: join(boot, 'piimage'),
    bin: join(folder, 'bin'),
  }
  mkdirSync(pi.bin)
  symlinkSync(shell, join(pi.bin, 'sh'))
  const daemon = options.daemon ?? 'NetworkManager.service'
  lay(pi.root, {
    'etc/passwd': 'root:x:0:0::/root:/bin/bash\npi:x:1000:1000:,,,:/home/pi:/bin/bash\n',
    'etc/group': 'root:x:0:\nsudo:x:27:pi\npi:x:1000:\n',
    'etc/subuid': 'pi:100000:65536\n',
    'home/pi/.profile': '# profile\n',
    'etc/hostname': 'raspberrypi\n',
    'etc/hosts': '127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n',
    'etc/default/keyboard': 'XKBMODEL="pc105"\nXKBLAYOUT="gb"\n',
    'etc/dhcpcd.conf': '# stock\nhostname\n',
    'etc/network/interfaces': 'source /etc/network/interfaces.d/*\n',
    'etc/ssh/ssh_host_rsa_key': 'stock',
    'etc/cloud/cloud.cfg': '# stock\n',
    'usr/share/zoneinfo/America/New_York': 'TZif',
    'lib/systemd/system/ssh.service': '',
    'lib/systemd/system/userconfig.service': '',
    'lib/systemd/system/regenerate_ssh_host_keys.service': '',
    'var/lib/systemd/rfkill/platform-3f300000.mmcnr:wlan': '1\n',
    'var/lib/NetworkManager/NetworkManager.state': '[main]\nWirelessEnabled=false\n',
  })
  mkdirSync(join(pi.root, 'etc/systemd/system/multi-user.target.wants'), { recursive: true })
  symlinkSync(
    `/lib/systemd/system/${daemon}`,
    join(pi.root, `etc/systemd/system/multi-user.target.wants/${daemon}`),
  )
  lay(pi.boot, {
    'cmdline.txt': `${options.cmdline ?? `${stockCmdline} ${trigger}`}\n`,
    'config.txt': '[all]\n',
  })
  layPayload(pi, options)
  const note = record(pi)
  stub(pi, 'chown', note)
  // busybox runs its own chown, id, sync and sleep whatever PATH says.
  stub(pi, 'id', 'echo 0')
  stub(pi, 'sync', ':')
  stub(pi, 'sleep', note)
  stub(
    pi,
    'systemctl',
    `${note}; case $2 in enable) ln -sf "/etc/systemd/system/$3" '${pi.root}/etc/systemd/system/multi-user.target.wants/'"$3" ;; esac`,
  )
  stub(pi, 'timedatectl', 'echo yes')
  stubAccounts(pi)
  return pi
}

/** Put the payload on the FAT, as if the card had (again) been customised. */
export function layPayload(pi: FakePi, options: FakePiOptions = {}): void {
  const shipped = join(packageRoot(), 'firstboot')
  mkdirSync(join(pi.fat, 'log'), { recursive: true })
  for (const name of ['install.sh', 'run.sh', 'lib.sh', 'units']) {
    cpSync(join(shipped, name), join(pi.fat, name), { recursive: true })
  }
  for (const [index, name] of (options.earlySteps ?? allSteps).entries()) {
    mkdirSync(join(pi.fat, 'early.d'), { recursive: true })
    cpSync(join(shipped, `steps/${name}.sh`), join(pi.fat, `early.d/${(index + 1) * 10}-${name}.sh`))
  }
  lay(pi.fat, {
    'node.json': '{"node":"oneil"}\n',
    'node.env': nodeEnv,
    'files/000': 'hello\n',
    'files.list': '0640 root adm /etc/hello.conf files/000\n',
    'keys/authorized_keys': 'ssh-ed25519 AAAAone one\nssh-ed25519 AAAAtwo two\n',
    'network/eth0.nmconnection': '[connection]\nid=piimage-eth0\n',
    'network/eth0.network': '[Match]\nName=eth0\n',
    'network/eth0.interfaces': 'auto eth0\n',
    'network/dhcpcd.conf': 'interface eth0\nstatic ip_address=172.19.181.1/24\n',
    'secrets/ssh_host_ed25519_key': 'HOST-PRIVATE-KEY\n',
    'secrets/ssh_host_ed25519_key.pub': 'ssh-ed25519 AAAAhost oneil\n',
    'secrets/password-hash': '$6$salt$PASSWORDHASH\n',
    'secrets/network/wlan0.nmconnection': '[connection]\nid=piimage-wlan0\n[wifi-security]\npsk=WIFI-PSK\n',
  })
  for (const [name, content] of Object.entries(options.steps ?? {}))
    lay(pi.fat, { [`firstboot.d/${name}`]: content })
}

/** Run a script of the Pi to its end, or to the cut that a stand-in makes. */
export function runOnPi(pi: FakePi, script: string, env: Record<string, string> = {}): Ended {
  const result = spawnSync(join(pi.bin, 'sh'), [script], {
    env: { PATH: `${pi.bin}:/usr/sbin:/usr/bin:/sbin:/bin`, TZ: 'UTC', PIIMAGE_ROOT: pi.root, ...env },
    encoding: 'utf8',
    // Its own process group, which a stand-in can kill whole.
    detached: true,
  } as Parameters<typeof spawnSync>[2] & { encoding: 'utf8' })
  if (result.error !== undefined) throw result.error
  return { status: result.status, signal: result.signal, output: `${result.stdout}${result.stderr}` }
}

export const install = (pi: FakePi, env?: Record<string, string>): Ended =>
  runOnPi(pi, join(pi.fat, 'install.sh'), env)

export const runSteps = (pi: FakePi, env?: Record<string, string>): Ended =>
  runOnPi(pi, join(pi.root, 'opt/piimage/run.sh'), env)

/** Every file below a folder: `mode content` by path. Logs and what tells the time are left out. */
export function snapshot(folder: string): Record<string, string> {
  const found: Record<string, string> = {}
  const visit = (path: string) => {
    for (const name of readdirSync(join(folder, path)).sort()) {
      const inside = path === '' ? name : `${path}/${name}`
      if (/(^|\/)piimage\/(log|history|status)$/.test(inside)) continue
      const stat = lstatSync(join(folder, inside))
      const mode = (stat.mode & 0o777).toString(8)
      if (stat.isSymbolicLink()) found[inside] = `link ${readlinkSync(join(folder, inside))}`
      else if (stat.isDirectory()) {
        found[inside] = `${mode} folder`
        visit(inside)
      } else found[inside] = `${mode} ${readFileSync(join(folder, inside), 'latin1')}`
    }
  }
  visit('')
  return found
}

export const readRoot = (pi: FakePi, path: string): string => readFileSync(join(pi.root, path), 'utf8')

export const modeOf = (pi: FakePi, path: string): string =>
  (lstatSync(join(pi.root, path)).mode & 0o777).toString(8)

/** The status file's object. */
export function statusOf(pi: FakePi): { step: string; state: string; detail: string; time: string } {
  return JSON.parse(readRoot(pi, 'var/lib/piimage/status')) as ReturnType<typeof statusOf>
}
