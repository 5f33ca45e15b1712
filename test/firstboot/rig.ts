/**
 * A Pi on this machine's own Debian: an overlay over /, whose upper side is a
 * disk of a few megabytes. apt, dpkg and the tools that keep accounts are the
 * real ones, a full disk is full, and what a step changed is what lies in the
 * upper folder. Stand-ins are only what a Pi would bring or install.
 *
 * Needs root, for mounts and namespaces.
 */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { laySpies } from '../support/spy.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import type { ShellName } from './fake-pi.ts'

const MEGABYTES = 24

/** Programs that come with packages, and that an image has not. */
const BROUGHT = 'docker dockerd containerd kubelet kubeadm kubectl crictl k3s nmcli'.split(' ')

/** What this machine may have and an image has not; and an apt that knows no archive. */
const PREPARE = `set -e
rm -rf /etc/apt /var/lib/apt /var/lib/dpkg /var/cache/apt /etc/docker /etc/rancher /etc/cloud /etc/sudoers.d /etc/ssh /etc/containerd
rm -f /etc/systemd/system/*.service /etc/systemd/system/*.wants/* /etc/fstab
for name in ${BROUGHT.join(' ')}; do
  for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do rm -f $folder/$name; done
done
rm -f /usr/lib/systemd/system/dnsmasq.service /lib/systemd/system/dnsmasq.service
mkdir -p /boot/firmware /etc/apt/sources.list.d /etc/apt/apt.conf.d /var/lib/apt/lists/partial /var/cache/apt/archives/partial
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/triggers /etc/ssh /etc/sudoers.d
: >/var/lib/dpkg/status
echo 'Acquire::Retries::Delay "false"; APT::Sandbox::User "root";' >/etc/apt/apt.conf.d/99rig`

/** Paths below which nothing is compared: what tells the time, and what apt and dpkg keep for themselves. */
const KEPT_BY_OTHERS =
  /^(var\/(log|cache)|var\/lib\/(apt|dpkg)|tmp|var\/lib\/piimage\/(history|status|log|steps|firstboot\.done)|etc\/issue\.d|usr\/share\/(info|man|doc)|etc\/\w+-|etc\/\.pwd\.lock)(\/|$)/

export interface Run {
  status: number
  output: string
}

export interface FileState {
  /** Type, mode, owner, content. */
  what: string
  mtimeNs: bigint
}

export interface StatusLine {
  step: string
  state: string
  detail: string
}

export class Rig {
  readonly #folder: string
  readonly #megabytes: number

  private constructor(folder: string, megabytes: number) {
    this.#folder = folder
    this.#megabytes = megabytes
  }

  /** @returns undefined after the test was skipped */
  static async open(t: TestContext, shell: ShellName = 'dash'): Promise<Rig | undefined> {
    if (!needRoot(t)) return undefined
    const program = needTool(t, shell, shell)
    const tools = [
      needTool(t, 'unshare', 'util-linux'),
      needTool(t, 'apt-get', 'apt'),
      needTool(t, 'gpg', 'gpg'),
    ]
    if (program === undefined || tools.includes(undefined)) return undefined
    let rig: Rig | undefined
    const folder = tempFolder(t, () => rig?.close())
    rig = new Rig(folder, MEGABYTES)
    for (const name of ['disk', 'root', 'run/rig/bin', 'fat/piimage', 'sys/fs/cgroup'])
      mkdirSync(join(folder, name), { recursive: true })
    must(
      run('mount', ['-t', 'tmpfs', '-o', `size=${rig.#megabytes}m,mode=755`, 'tmpfs', join(folder, 'disk')]),
    )
    for (const name of ['upper', 'work']) mkdirSync(join(folder, 'disk', name))
    writeFileSync(join(folder, 'sys/fs/cgroup/cgroup.controllers'), 'cpuset cpu io memory pids\n')
    rig.#layShell(shell, program)
    const prepared = await rig.#inside(['/bin/sh', '-c', PREPARE], {})
    if (prepared.status !== 0) throw new Error(prepared.output)
    return rig
  }

  private close(): void {
    if (existsSync(join(this.#folder, 'disk/upper'))) run('umount', [join(this.#folder, 'disk')])
  }

  /** busybox runs its own df, whatever PATH says, unless a function of that name goes before it. */
  #layShell(shell: ShellName, program: string): void {
    const sh = join(this.#folder, 'run/rig/bin/sh')
    if (shell !== 'busybox') {
      symlinkSync(program, sh)
      return
    }
    writeFileSync(sh, `#!${program} sh\nexec ${program} sh -c '. /run/rig/functions; . "$0"' "$@"\n`)
    chmodSync(sh, 0o755)
    this.#applets = new Set(run(program, ['--list']).stdout.split('\n'))
    writeFileSync(join(this.#folder, 'run/rig/functions'), 'sh() { /run/rig/bin/sh "$@"; }\n')
  }
  #applets = new Set<string>()

  /** Write files of the system, by their path without the first slash; `->TARGET` is a link. */
  lay(files: Record<string, string>): void {
    for (const [path, content] of Object.entries(files)) {
      const target = join(this.#folder, 'disk/upper', path)
      this.#makeFolder(dirname(path))
      rmSync(target, { force: true })
      if (content.startsWith('->')) symlinkSync(content.slice(2), target)
      else writeFileSync(target, content, { mode: content.startsWith('#!') ? 0o755 : 0o644 })
    }
  }

  /** What was taken away of this machine's own is covered by the new folder, not merged with it. */
  #makeFolder(path: string): void {
    if (path === '.') return
    this.#makeFolder(dirname(path))
    const folder = join(this.#folder, 'disk/upper', path)
    const wasTakenAway = lstatSync(folder, { throwIfNoEntry: false })?.isCharacterDevice() === true
    if (wasTakenAway) rmSync(folder)
    mkdirSync(folder, { recursive: true })
    if (wasTakenAway) must(run('setfattr', ['-n', 'trusted.overlay.opaque', '-v', 'y', folder]))
  }

  remove(paths: readonly string[]): void {
    for (const path of paths) rmSync(join(this.#folder, 'disk/upper', path), { recursive: true, force: true })
  }

  /** A stand-in, before everything else in PATH, whose calls are kept. */
  program(name: string, script: string): void {
    const path = join(this.#folder, 'run/rig/bin', name)
    writeFileSync(path, `#!/bin/sh\nprintf '%s %s\\n' '${name}' "$*" >>/run/rig/calls\n${script}\n`)
    chmodSync(path, 0o755)
    if (this.#applets.has(name))
      writeFileSync(join(this.#folder, 'run/rig/functions'), `${name}() { /run/rig/bin/${name} "$@"; }\n`, {
        flag: 'a',
      })
  }

  /**
   * From now on every program that a script starts, this machine's own and the
   * stand-ins, has its arguments and its environment kept.
   */
  spy(): void {
    laySpies({
      folder: join(this.#folder, 'run/rig/spy'),
      seen: '/run/rig/seen',
      standIns: { folder: '/run/rig/bin', names: readdirSync(join(this.#folder, 'run/rig/bin')) },
      absent: new Set(BROUGHT),
    })
    this.#spied = '/run/rig/spy:'
  }
  #spied = ''

  /** A fact that stand-ins read, in a file of memory: `/run/rig/NAME`. */
  fact(name: string, value: string | undefined): void {
    const path = join(this.#folder, 'run/rig', name)
    if (value === undefined) rmSync(path, { force: true })
    else writeFileSync(path, `${value}\n`)
  }

  readFact(name: string): string | undefined {
    const path = join(this.#folder, 'run/rig', name)
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
  }

  /** What the stand-ins were asked since the last time somebody looked. */
  takeCalls(): string[] {
    const calls = (this.readFact('calls') ?? '').split('\n').filter((call) => call !== '')
    this.fact('calls', undefined)
    return calls
  }

  /** Lay the payload of one networked step, as if the installer had. */
  layStep(step: string, env: Record<string, string>): void {
    const shipped = join(packageRoot(), 'firstboot')
    const quoted = Object.entries(env).map(([key, value]) => `${key}='${value.replaceAll("'", "'\\''")}'\n`)
    this.lay({
      'opt/piimage/lib.sh': readFileSync(join(shipped, 'lib.sh'), 'utf8'),
      'opt/piimage/run.sh': readFileSync(join(shipped, 'run.sh'), 'utf8'),
      'opt/piimage/node.env': quoted.join(''),
      'opt/piimage/.id': '1 1\n',
      'var/lib/piimage/installed': '1 1\n',
      [`opt/piimage/firstboot.d/50-${step}.sh`]: readFileSync(join(shipped, `steps/${step}.sh`), 'utf8'),
    })
    chmodSync(join(this.#folder, 'disk/upper/opt/piimage'), 0o700)
  }

  /** Whether systemd counts as being up, so that the step starts its services. */
  comeUp(): void {
    mkdirSync(join(this.#folder, 'run/systemd/system'), { recursive: true })
  }

  /**
   * Power on, run what is to be run once, power off.
   * @param network false: not even a loopback
   * @param beside a shell command that goes on beside it
   */
  boot({ network = true, beside = '' }: { network?: boolean; beside?: string } = {}): Promise<Run> {
    rmSync(join(this.#folder, 'run/piimage'), { recursive: true, force: true })
    const script = `${beside}\nexec sh /opt/piimage/run.sh`
    return this.#inside(['/bin/sh', '-c', script], network ? {} : { net: true })
  }

  /** Where the FAT's files lie. */
  get bootFolder(): string {
    return join(this.#folder, 'fat')
  }

  /** Start the installer from the FAT, as the trigger does; the power goes off at its end. */
  install(): Promise<Run> {
    rmSync(join(this.#folder, 'run/piimage'), { recursive: true, force: true })
    return this.#inside(['/bin/sh', '-c', 'exec sh /boot/firmware/piimage/install.sh'], {})
  }

  /** As if the step had never run: what is noted of it is forgotten, what it did stays. */
  forget(): void {
    for (const path of ['steps', 'firstboot.done'])
      rmSync(join(this.#folder, 'disk/upper/var/lib/piimage', path), { recursive: true, force: true })
  }

  #inside(command: string[], { net = false }: { net?: boolean }): Promise<Run> {
    const args = ['--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child', ...(net ? ['--net'] : [])]
    const script = join(packageRoot(), 'test/firstboot/rig.sh')
    return new Promise((done, failed) => {
      const child = spawn('unshare', [...args, 'sh', script, this.#folder, ...command], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: `${this.#spied}/run/rig/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
          TZ: 'UTC',
          HOME: '/root',
        },
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => (output += text))
      child.on('error', failed)
      child.on('close', (status, signal) =>
        done({ status: status ?? 128, output: `${output}${signal ?? ''}` }),
      )
    })
  }

  /** What the node says of itself, as `piimage status` asks it. */
  status(): StatusLine {
    const [now, kept] = ['run', 'disk/upper/var/lib'].map((place) =>
      join(this.#folder, place, 'piimage/status'),
    )
    return JSON.parse(readFileSync(existsSync(now ?? '') ? (now ?? '') : (kept ?? ''), 'utf8')) as StatusLine
  }

  /** The log on the FAT. */
  log(): string {
    const folder = join(this.#folder, 'fat/piimage/log')
    return existsSync(folder)
      ? readdirSync(folder)
          .map((name) => readFileSync(join(folder, name), 'utf8'))
          .join('\n')
      : ''
  }

  /** Every file that differs from the machine's own, by path. */
  tree(): Map<string, FileState> {
    const upper = join(this.#folder, 'disk/upper')
    const found = new Map<string, FileState>()
    const visit = (folder: string) => {
      for (const name of readdirSync(join(upper, folder)).sort()) {
        const path = folder === '' ? name : `${folder}/${name}`
        if (KEPT_BY_OTHERS.test(path)) continue
        const stat = lstatSync(join(upper, path), { bigint: true })
        const owner = `${(stat.mode & 0o7777n).toString(8)} ${stat.uid}:${stat.gid}`
        if (stat.isDirectory()) visit(path)
        const what = stat.isSymbolicLink()
          ? `link ${readlinkSync(join(upper, path))}`
          : stat.isDirectory()
            ? `folder ${owner}`
            : stat.isCharacterDevice()
              ? 'gone'
              : `file ${owner} ${readFileSync(join(upper, path), 'latin1')}`
        found.set(path, { what, mtimeNs: stat.isFile() ? stat.mtimeNs : 0n })
      }
    }
    visit('')
    return found
  }

  /** Let this many bytes be free, and no more. */
  fill(bytes: number): void {
    const disk = join(this.#folder, 'disk')
    const { bavail, bsize } = statfsSync(disk)
    const path = join(disk, 'filler')
    writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - bytes)))
  }

  empty(): void {
    rmSync(join(this.#folder, 'disk/filler'), { force: true })
  }

  /** Keep the disk as it is now, for `reset`. */
  keep(): void {
    for (const [from, to] of this.#copies()) {
      rmSync(to, { recursive: true, force: true })
      must(run('cp', ['-a', from, to]))
    }
  }

  reset(): void {
    this.empty()
    rmSync(join(this.#folder, 'disk/work'), { recursive: true })
    mkdirSync(join(this.#folder, 'disk/work'))
    for (const [from, to] of this.#copies()) {
      rmSync(from, { recursive: true })
      must(run('cp', ['-a', to, from]))
    }
    rmSync(join(this.#folder, 'fat/piimage/log'), { recursive: true, force: true })
  }

  /** What is kept, and where. */
  #copies = (): [string, string][] => [
    [join(this.#folder, 'disk/upper'), join(this.#folder, 'kept')],
    [join(this.#folder, 'run/rig'), join(this.#folder, 'kept-rig')],
  ]
}

function must({ status, stderr }: { status: number; stderr: string }): void {
  if (status !== 0) throw new Error(stderr)
}
