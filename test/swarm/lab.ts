/**
 * A cluster of namespaces: each node has its own network, mounts, processes and
 * host name, a real dockerd and a real sshd, and boots the payload that piimage
 * plans for it, from a folder that stands for its FAT. See ./boot.sh.
 *
 * Docker and sudo are Debian's packages, fetched once and unpacked into a cache
 * folder; nothing is installed on the machine.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { ClusterKey } from '../../src/secrets/cluster-key.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { stockBoot } from '../customise/stock.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, type Ran, run } from '../support/tools.ts'

const packages = ['docker.io', 'containerd', 'runc', 'tini', 'sudo']

/** @returns a folder with Docker and sudo, or undefined after a skip */
export function needDocker(t: TestContext): string | undefined {
  const cache = process.env.PIIMAGE_LAB_CACHE ?? join(tmpdir(), 'piimage-lab')
  const lower = join(cache, 'docker')
  if (existsSync(lower)) return lower
  const fresh = join(cache, `fresh-${process.pid}`)
  mkdirSync(join(fresh, 'root'), { recursive: true })
  const fetched = run('apt-get', ['-q', 'download', ...packages], { cwd: fresh })
  if (fetched.status !== 0) {
    if (process.env.PIIMAGE_ALL_TESTS === '1') throw new Error(fetched.stderr)
    t.skip(`Debian's packages can't be fetched: ${fetched.stderr.trim().split('\n').at(-1)}`)
    return undefined
  }
  for (const deb of readdirSync(fresh).filter((name) => name.endsWith('.deb')))
    mustRun('dpkg-deb', ['-x', join(fresh, deb), join(fresh, 'root')])
  // /lib is a link to usr/lib on this machine, and a folder here would hide it.
  mustRun('sh', [
    '-c',
    'cd "$1"; for d in lib sbin bin; do if [ -d $d ]; then mkdir -p usr/$d; cp -a $d/. usr/$d/; rm -rf $d; fi; done',
    'sh',
    join(fresh, 'root'),
  ])
  // Flushing the whole machine's disks at each file is what the steps ask for, and too slow beside other tests.
  writeFileSync(join(fresh, 'root/usr/bin/sync'), '#!/bin/sh\n')
  chmodSync(join(fresh, 'root/usr/bin/sync'), 0o755)
  try {
    renameSync(join(fresh, 'root'), lower)
  } catch (error) {
    // Another test file was quicker.
    if (!existsSync(lower)) throw error
  }
  rmSync(fresh, { recursive: true })
  return lower
}

export function mustRun(command: string, args: readonly string[]): string {
  const ran = run(command, args)
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout
}

export interface LabNode {
  name: string
  folder: string
  /** Process 1, seen from here; undefined while the power is off. */
  pid: number | undefined
}

export const key = new ClusterKey(Buffer.alloc(32, 42))

export class Lab {
  readonly nodes = new Map<string, LabNode>()
  readonly #lower: string
  readonly #folder: string
  readonly #prefix: string
  readonly #networks: string[] = []

  private constructor(folder: string, lower: string, prefix: string) {
    this.#folder = folder
    this.#lower = lower
    this.#prefix = prefix
  }

  /** Cards for all nodes of a cluster, and the switch between them; undefined after a skip. */
  static async open(t: TestContext, cluster: Cluster): Promise<Lab | undefined> {
    if (!needRoot(t)) return undefined
    for (const [tool, debianPackage] of [
      ['ip', 'iproute2'],
      ['nsenter', 'util-linux'],
      ['sshd', 'openssh-server'],
      ['dpkg-deb', 'dpkg'],
      ['iptables', 'iptables'],
    ] as const)
      if (needTool(t, tool, debianPackage) === undefined) return undefined
    const lower = needDocker(t)
    if (lower === undefined) return undefined
    const prefix = `pi${process.pid % 100000}`
    let lab: Lab | undefined
    const folder = tempFolder(t, () => lab?.close())
    lab = new Lab(folder, lower, prefix)
    mustRun('ip', ['netns', 'add', `${prefix}-sw`])
    mustRun('ip', ['-n', `${prefix}-sw`, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0'])
    mustRun('ip', ['-n', `${prefix}-sw`, 'link', 'set', 'br0', 'up'])
    for (const node of cluster.nodes) await lab.#add(cluster, node)
    return lab
  }

  async #add(cluster: Cluster, node: Node): Promise<void> {
    const folder = join(this.#folder, node.name)
    const overlays = await readOverlays([join(packageRoot(), 'overlays')])
    const image = { key: node.image, version: '1', arch: 'arm64' } as const
    const plan = await planBoot({
      cluster,
      node,
      image,
      boot: stockBoot('bookworm'),
      overlays,
      keys: nodeKeys(key),
    })
    for (const { path, after } of plan.files) {
      if (after === null) continue
      mkdirSync(dirname(join(folder, 'fat', path)), { recursive: true })
      writeFileSync(join(folder, 'fat', path), after)
    }
    // What Docker's command line is asked stays on the card, where secrets are looked for.
    mkdirSync(join(folder, 'extra/usr/local/bin'), { recursive: true })
    writeFileSync(
      join(folder, 'extra/usr/local/bin/docker'),
      '#!/bin/sh\nprintf "%s\\n" "$*" >>/var/log/asked\nexec /usr/bin/docker "$@"\n',
      { mode: 0o755 },
    )
    const netns = `${this.#prefix}-${node.name}`
    const plug = `${node.name.slice(0, 8)}-sw`
    mustRun('ip', ['netns', 'add', netns])
    mustRun('ip', ['-n', netns, 'link', 'set', 'lo', 'up'])
    const link = ['link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', plug, 'netns', `${this.#prefix}-sw`]
    mustRun('ip', ['-n', netns, ...link])
    mustRun('ip', ['-n', `${this.#prefix}-sw`, 'link', 'set', plug, 'master', 'br0', 'up'])
    const { ip, prefix } = node.interfaces[0]?.address ?? { ip: '', prefix: 24 }
    mustRun('ip', ['-n', netns, 'addr', 'add', `${ip}/${prefix}`, 'dev', 'eth0'])
    mustRun('ip', ['-n', netns, 'link', 'set', 'eth0', 'up'])
    this.nodes.set(node.name, { name: node.name, folder, pid: undefined })
  }

  /** Its network namespace, as `ip -n` takes it; `sw` is the switch. */
  netns(name: string): string {
    return `${this.#prefix}-${name}`
  }

  /** Run a program in a network namespace of ours, on this machine's own files. */
  inNetwork(name: string, command: string, args: readonly string[]): Ran {
    return run('nsenter', [`--net=/run/netns/${this.netns(name)}`, command, ...args])
  }

  /** A namespace that is not a node: a client, the world outside. */
  addNetwork(name: string): void {
    mustRun('ip', ['netns', 'add', this.netns(name)])
    mustRun('ip', ['-n', this.netns(name), 'link', 'set', 'lo', 'up'])
    this.#networks.push(name)
  }

  node(name: string): LabNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  powerOn(name: string): void {
    const node = this.node(name)
    const console = openSync(join(node.folder, 'console.log'), 'a')
    const boot = join(packageRoot(), 'test/swarm/boot.sh')
    const child = spawn(
      'nsenter',
      [
        `--net=/run/netns/${this.#prefix}-${name}`,
        ...['unshare', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child'],
        ...['sh', boot, node.folder, name, this.#lower],
      ],
      { stdio: ['ignore', console, console], env: { PATH: process.env.PATH ?? '' } },
    )
    // unshare forks; its child is the node's process 1.
    const children = `/proc/${child.pid}/task/${child.pid}/children`
    for (let tries = 0; tries < 200 && node.pid === undefined; tries++) {
      const found = existsSync(children) ? Number.parseInt(readFileSync(children, 'utf8'), 10) : Number.NaN
      if (Number.isNaN(found)) spawnSync('sleep', ['0.02'])
      else node.pid = found
    }
    if (node.pid === undefined) throw new Error(`${name} did not start: ${this.console(name)}`)
  }

  /** At once, with everything in it: what was written stays. */
  powerOff(name: string): void {
    const node = this.node(name)
    if (node.pid === undefined) return
    const { pid } = node
    node.pid = undefined
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      return
    }
    // Its mounts are gone when the process is.
    while (existsSync(`/proc/${pid}/root/proc`)) spawnSync('sleep', ['0.05'])
  }

  /** Run a shell command inside a running node. */
  inside(name: string, command: string): Ran {
    const { pid } = this.node(name)
    if (pid === undefined) throw new Error(`${name} is off`)
    return run(
      'nsenter',
      ['-t', String(pid), '-m', '-u', '-i', '-n', '-p', '-r', '-w', 'sh', '-c', command],
      {
        env: { DOCKER_HOST: 'unix:///run/docker.sock' },
      },
    )
  }

  console(name: string): string {
    return readFileSync(join(this.node(name).folder, 'console.log'), 'utf8')
  }

  hasFinished(name: string): boolean {
    return existsSync(join(this.node(name).folder, 'upper/var/lib/piimage/firstboot.done'))
  }

  close(): void {
    for (const name of this.nodes.keys()) this.powerOff(name)
    for (const name of ['sw', ...this.#networks, ...this.nodes.keys()])
      run('ip', ['netns', 'del', this.netns(name)])
  }
}

/** Look every quarter of a second; what never comes is an error with its name. */
export async function until(what: string, seconds: number, isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < seconds * 4; tries++) {
    if (isSo()) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  throw new Error(`${what} did not come about within ${seconds} s`)
}
