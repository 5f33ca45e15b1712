/**
 * The head of diskless nodes: dnsmasq and an NFS server on a virtual switch, in
 * a view of this machine where what piimage wrote below a prefix is the
 * machine's own: its /etc over ours, its /srv in the place of ours, and the
 * mounts of its units mounted. Nobody outside sees those mounts.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatGanesha, parseExports } from './ganesha.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

export interface NetbootHead {
  /** What the servers say. */
  log(): string
  /** Run a program in the head's view, to its end. */
  inside(command: string, args: string[]): { status: number; stdout: string; stderr: string }
}

/** systemd.mount(5) → mount(8). */
function mountCommand(unit: string): string {
  const value = (key: string): string => {
    const found = new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1]
    if (found === undefined) throw new Error(`no ${key} in the unit:\n${unit}`)
    return found
  }
  return `patient mount -t ${value('Type')} -o '${value('Options')}' '${value('What')}' '${value('Where')}'`
}

function mountUnits(prefix: string): string[] {
  const units = join(prefix, 'etc/systemd/system')
  if (!existsSync(units)) return []
  return (
    readdirSync(units)
      .filter((name) => name.endsWith('.mount'))
      .map((name) => readFileSync(join(units, name), 'utf8'))
      // Images before the overlays that lie on them.
      .sort((a, b) => Number(a.includes('\nType=overlay')) - Number(b.includes('\nType=overlay')))
      .map(mountCommand)
  )
}

const startScript = (prefix: string, address: string, folder: string): string => `set -e
# An overlay that was mounted while somebody else's mount namespace was made lives on in there.
patient() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] || exit 1
    sleep 0.5
  done
}
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/rpcbind /run/sendsigs.omit.d /run/ganesha /run/log
mount -t overlay overlay -o lowerdir=${prefix}/etc:/etc /etc
mount --bind ${prefix}/srv /srv
mount --bind /run/log /var/log
${mountUnits(prefix).join('\n')}
# Without a mount namespace of its own it would take the whole machine's place.
rpcbind -w -h ${address}
dnsmasq -k -C /etc/dnsmasq.d/piimage-netroot.conf --pid-file=/run/dnsmasq.pid --dhcp-leasefile=/run/leases &
exec ganesha.nfsd -F -f ${folder}/ganesha.conf -L ${folder}/ganesha.log -p /run/ganesha.pid
`

/**
 * @param prefix where \`piimage netroot --prefix\` wrote
 * @param folder for the servers' own files; a new one
 * @throws {Error} they don't come up; with what they said
 */
export async function startHead(
  lan: VirtualSwitch,
  prefix: string,
  address: string,
  folder: string,
): Promise<NetbootHead> {
  const at = (name: string) => join(folder, name)
  mkdirSync(at('recovery'), { recursive: true })
  const exports = parseExports(readFileSync(join(prefix, 'etc/exports.d/piimage.exports'), 'utf8'))
  writeFileSync(at('ganesha.conf'), formatGanesha(address, at('recovery'), exports))
  writeFileSync(at('start.sh'), startScript(prefix, address, folder))
  const alone = ['--mount', '--pid', '--mount-proc', '--fork', '--kill-child']
  const server = lan.serve(at('start.log'), 'unshare', [...alone, 'sh', at('start.sh')])
  const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '')
  const log = () => read('start.log') + read('ganesha.log')
  for (let tries = 0; !log().includes('NFS SERVER INITIALIZED'); tries++) {
    if (server.exitCode !== null || tries === 120) throw new Error(`no servers:\n${log()}`)
    await sleep(250)
  }
  const children = readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8').trim()
  return {
    log,
    inside: (command, args) => lan.run('nsenter', ['-t', children, '-m', '-p', command, ...args]),
  }
}
