/**
 * A server for diskless nodes in a network namespace, on a switch in another:
 * real dnsmasq, and NFS by nfs-ganesha with rpcbind, over trees that are made
 * here. One node for each thing that a test wants to be wrong.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Model } from '../../src/cluster/node.ts'
import type { ServedCluster, ServedNode } from '../../src/netroot/served.ts'
import type { Look } from '../../src/rehearsal/live/look.ts'
import type { Rehearsed } from '../../src/rehearsal/rehearse-node.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import type { BoardStory } from './board.ts'
import { bootFiles, writeFiles, writeRoot } from './boot-tree.ts'

const NETWORK = '10.81.0'
export const SERVER = `${NETWORK}.1`

export interface Lab {
  folder: string
  served: ServedCluster
  /** A node with its trees, as a layout would leave them. */
  addNode(name: string, model: Model): ServedNode
  /** dnsmasq on the server's interface. @param lines besides what it always has */
  startDnsmasq(lines: readonly string[]): Promise<void>
  /** dnsmasq as somebody else's, on a machine of its own at `.254`. */
  startOtherDhcp(lines: readonly string[]): Promise<void>
  startNfs(exports: readonly NfsExport[]): Promise<void>
  /** `rehearse` on the server. */
  rehearse(served?: ServedCluster): Rehearsed[]
  /** A board on the wire, until the test ends. @returns once it has done what it was told */
  startBoard(story: BoardStory): Promise<void>
  /** What the server sees, after it has heard one more board. */
  look(board: BoardStory): Promise<Look>
  /** Any program on the server. */
  onServer(command: string, ...args: string[]): { status: number; stdout: string; stderr: string }
  dnsmasqLog(): string
}

export interface NfsExport {
  folder: string
  client: string
  access: 'RW' | 'RO'
  squash?: boolean
}

/** @returns undefined after a skip */
export function openLab(t: TestContext, layout: 'serial' | 'mac'): Lab | undefined {
  if (!needRoot(t)) return undefined
  const dnsmasq = needTool(t, 'dnsmasq', 'dnsmasq-base')
  const ganesha = needTool(t, 'ganesha.nfsd', 'nfs-ganesha nfs-ganesha-vfs')
  const rpcbind = needTool(t, 'rpcbind', 'rpcbind')
  if (dnsmasq === undefined || ganesha === undefined || rpcbind === undefined) return undefined
  const children: ChildProcess[] = []
  const server = `rehearsal-${process.pid}-${layout}`
  const other = `${server}-other`
  const wire = `${server}-switch`
  const namespaces = [server, other, wire]
  const folder = tempFolder(t, () => {
    for (const child of children) child.kill('SIGKILL')
    for (const name of namespaces) run('ip', ['netns', 'del', name])
  })
  chmodSync(folder, 0o755)
  const ip = (...args: string[]) => {
    const ran = run('ip', args)
    if (ran.status !== 0) throw new Error(`ip ${args.join(' ')}: ${ran.stderr}`)
  }
  for (const name of namespaces) {
    ip('netns', 'add', name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
  ip('-n', wire, 'link', 'add', 'lan', 'type', 'bridge', 'forward_delay', '0')
  ip('-n', wire, 'link', 'set', 'lan', 'up')
  let ports = 0
  const plugIn = (namespace: string, name: string, mac: readonly string[] = []) => {
    ports += 1
    const peer = ['type', 'veth', 'peer', 'name', name, ...mac, 'netns', namespace]
    ip('-n', wire, 'link', 'add', `port${ports}`, ...peer)
    ip('-n', wire, 'link', 'set', `port${ports}`, 'master', 'lan', 'up')
    ip('-n', namespace, 'link', 'set', name, 'up')
  }
  plugIn(server, 'lan0')
  ip('-n', server, 'address', 'add', `${SERVER}/24`, 'dev', 'lan0')
  plugIn(other, 'eth0')
  ip('-n', other, 'address', 'add', `${NETWORK}.254/24`, 'dev', 'eth0')

  const state = join(folder, 'state')
  const tftpRoot = join(state, 'tftp')
  mkdirSync(tftpRoot, { recursive: true })
  if (layout === 'serial') writeFiles(tftpRoot, { 'bootcode.bin': Buffer.alloc(3000, 1) })
  const served: ServedCluster = {
    cluster: 'lab',
    stateFolder: state,
    tftpRoot,
    server: { ip: SERVER, prefix: 24, interface: 'lan0' },
    network: { cidr: `${NETWORK}.0/24`, dns: [] },
    nodes: [],
  }
  const start = (namespace: string, command: string, args: readonly string[], log: string) => {
    const out = openSync(join(folder, log), 'a')
    const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, command, ...args], {
      stdio: ['ignore', out, out],
    })
    children.push(child)
    return child
  }
  const waitFor = async (what: string, there: () => boolean) => {
    for (let waited = 0; !there(); waited += 50) {
      if (waited > 20_000) throw new Error(`${what} does not start`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const inServer = (command: string, ...args: string[]) =>
    run('nsenter', [`--net=/run/netns/${server}`, command, ...args])
  const startDnsmasq = async (namespace: string, name: string, lines: readonly string[]) => {
    const config = join(folder, `${name}.conf`)
    const always = [
      'port=0',
      'bind-dynamic',
      'log-dhcp',
      'no-ping',
      'user=nobody',
      `dhcp-leasefile=${folder}/${name}.leases`,
      'pid-file=',
    ]
    writeFileSync(config, [...always, ...lines, ''].join('\n'))
    start(
      namespace,
      dnsmasq,
      ['--keep-in-foreground', `--conf-file=${config}`, '--log-facility=-'],
      `${name}.log`,
    )
    await waitFor(name, () => readFileSync(join(folder, `${name}.log`), 'utf8').includes('started'))
  }
  const startBoard = async (story: BoardStory) => {
    const number = namespaces.length
    const board = `${server}-${number}`
    ip('netns', 'add', board)
    namespaces.push(board)
    ip('-n', board, 'link', 'set', 'lo', 'up')
    plugIn(board, 'eth0', ['address', story.mac])
    ip('-n', board, 'route', 'add', 'default', 'dev', 'eth0', 'scope', 'link')
    const log = `board${number}.log`
    const program = fileURLToPath(new URL('./board.js', import.meta.url))
    start(board, process.execPath, [program, JSON.stringify(story)], log)
    await waitFor(`the board ${story.mac}`, () => readFileSync(join(folder, log), 'utf8').includes('done'))
  }
  return {
    folder,
    served,
    addNode(name, model) {
      const number = 11 + served.nodes.length
      const serial = (0xa1000000 + number).toString(16)
      const mac = `b8:27:eb:00:00:${number.toString(16).padStart(2, '0')}`
      const bootFolder = join(state, 'nodes', name, 'boot')
      const rootFolder = join(state, 'nodes', name, 'root')
      const address = `${NETWORK}.${number}`
      const boot = bootFiles()
      if (layout === 'serial') delete boot['bootcode.bin']
      writeFiles(bootFolder, {
        ...boot,
        'cmdline.txt': `console=tty1 root=/dev/nfs nfsroot=${SERVER}:${rootFolder},vers=3,tcp,hard rw ip=${address}:${SERVER}::255.255.255.0:${name}:eth0:off rootwait\n`,
      })
      writeRoot(rootFolder, name)
      const tftpName = layout === 'serial' ? serial : mac.replaceAll(':', '-')
      symlinkSync(bootFolder, join(tftpRoot, tftpName))
      const node: ServedNode = {
        name,
        model,
        ip: address,
        mac,
        serial,
        generation: 'g1',
        edition: 'e1',
        bootFolder,
        rootFolder,
        rootMode: 'copy',
        exports: [{ folder: rootFolder, client: address, writable: true, fsid: String(number) }],
        tftpNames: [tftpName],
      }
      served.nodes.push(node)
      return node
    },
    startDnsmasq: (lines) =>
      startDnsmasq(server, 'dnsmasq', [
        'interface=lan0',
        'enable-tftp=lan0',
        `tftp-root=${tftpRoot}`,
        ...lines,
      ]),
    startOtherDhcp: (lines) => startDnsmasq(other, 'other-dnsmasq', ['interface=eth0', ...lines]),
    async startNfs(exports) {
      const config = join(folder, 'ganesha.conf')
      mkdirSync(join(folder, 'recovery'))
      writeFileSync(config, ganeshaConfig(folder, exports))
      // Its sockets and state files lie in /run, which is the machine's own otherwise.
      const script = 'mount -t tmpfs tmpfs /run && mkdir -p /run/rpcbind && exec rpcbind -f -w -h "$1"'
      start(server, 'unshare', ['--mount', 'sh', '-c', script, 'sh', SERVER], 'rpcbind.log')
      await waitFor('rpcbind', () => inServer('ss', '-Hltn', 'sport = :111').stdout.includes(':111'))
      start(
        server,
        ganesha,
        ['-F', '-f', config, '-L', join(folder, 'ganesha.log'), '-p', join(folder, 'ganesha.pid')],
        'ganesha.out',
      )
      await waitFor('ganesha', () => inServer('ss', '-Hltn', 'sport = :20048').stdout.includes(':20048'))
    },
    rehearse(what = served) {
      const input = join(folder, 'served.json')
      writeFileSync(input, JSON.stringify(what))
      const ran = inServer(process.execPath, fileURLToPath(new URL('./drive.js', import.meta.url)), input)
      if (ran.status !== 0) throw new Error(ran.stderr)
      rmSync(input)
      return JSON.parse(ran.stdout) as Rehearsed[]
    },
    startBoard,
    async look(board) {
      const input = join(folder, 'look.json')
      writeFileSync(input, JSON.stringify(served))
      const program = fileURLToPath(new URL('./drive-look.js', import.meta.url))
      const looking = start(
        server,
        process.execPath,
        [program, input, join(folder, 'dnsmasq.log')],
        'look.log',
      )
      const said = () => readFileSync(join(folder, 'look.log'), 'utf8').replace('listening\n', '')
      await waitFor('the listener', () => readFileSync(join(folder, 'look.log'), 'utf8') !== '')
      await startBoard({ ...board, refused: true })
      looking.kill('SIGUSR2')
      await new Promise((resolve) => looking.once('exit', resolve))
      return JSON.parse(said()) as Look
    },
    onServer: inServer,
    dnsmasqLog: () => readFileSync(join(folder, 'dnsmasq.log'), 'utf8'),
  }
}

function ganeshaConfig(folder: string, exports: readonly NfsExport[]): string {
  const blocks = exports.map(
    ({ folder: path, client, access, squash }, index) => `EXPORT {
  Export_Id = ${index + 1}; Path = ${path}; Pseudo = ${path}; Access_Type = None; Filesystem_Id = 9.${index + 1};
  FSAL { Name = VFS; }
  CLIENT { Clients = ${client}; Access_Type = ${access}; Squash = ${squash ? 'Root_Squash' : 'No_Root_Squash'}; }
}`,
  )
  return `NFS_CORE_PARAM { Protocols = 3; Bind_addr = ${SERVER}; NFS_Port = 2049; MNT_Port = 20048; NLM_Port = 32803;
  Enable_RQUOTA = false; mount_path_pseudo = true; allow_set_io_flusher_fail = true; }
NFSV4 { Graceless = true; RecoveryBackend = fs; RecoveryRoot = ${folder}/recovery; }
EXPORT_DEFAULTS { SecType = sys; Protocols = 3; Transports = TCP; }
${blocks.join('\n')}
`
}

/** dnsmasq lines for nodes with reserved addresses. */
export const reservations = (nodes: readonly ServedNode[]): string[] => [
  `dhcp-range=${NETWORK}.0,static,255.255.255.0,12h`,
  ...nodes.map(({ mac, ip, name }) => `dhcp-host=${mac},set:${name},${ip},${name}`),
]

export const MENU = 'pxe-service=0,"Raspberry Pi Boot   "'
