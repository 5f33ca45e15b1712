/**
 * The fixture image with NetworkManager in the place of systemd-networkd, as
 * Raspberry Pi OS has it since Bookworm: its packages unpacked into the root
 * file system by debugfs, so that no mount is needed.
 */
import { lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../support/tools.ts'
import { BOOT } from './flashed-card.ts'

/** What starts the one daemon, and what would start the other. */
const enabled: Record<string, string> = {
  '/etc/systemd/system/multi-user.target.wants/NetworkManager.service':
    '/usr/lib/systemd/system/NetworkManager.service',
}
const disabled = [
  '/etc/systemd/system/multi-user.target.wants/systemd-networkd.service',
  '/etc/systemd/system/sockets.target.wants/systemd-networkd.socket',
  '/etc/systemd/system/dbus-org.freedesktop.network1.service',
]
const leftOut = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/bug']

/**
 * @param image the unpacked fixture; changed
 * @param debs folder with the packages of arm64-debs.gen.sh
 * @param folder for what is unpacked on the way
 */
export function addNetworkManager(image: string, debs: string, folder: string): void {
  const tree = join(folder, 'network-manager')
  mkdirSync(tree)
  for (const name of readdirSync(debs).filter((file) => file.endsWith('.deb'))) {
    const unpacked = run('dpkg-deb', ['-x', join(debs, name), tree])
    if (unpacked.status !== 0) throw new Error(unpacked.stderr)
  }
  for (const path of leftOut) rmSync(join(tree, path), { recursive: true, force: true })
  const commands = [...putTree(tree, '')]
  for (const [link, to] of Object.entries(enabled)) commands.push(`symlink ${link} ${to}`)
  for (const path of disabled) commands.push(`rm ${path}`)
  const script = join(folder, 'debugfs-script')
  writeFileSync(script, `${commands.join('\n')}\n`)
  const root = `${image}?offset=${BOOT.offset + BOOT.length}`
  for (const args of [
    ['debugfs', '-w', '-f', script, root],
    ['e2fsck', '-fn', root],
  ]) {
    const ran = run(args[0] ?? '', args.slice(1))
    if (ran.status !== 0) throw new Error(`${args.join(' ')}: ${ran.stdout}${ran.stderr}`)
  }
}

/** debugfs commands that copy a folder; what is a folder there already stays. */
function* putTree(folder: string, to: string): Generator<string> {
  for (const name of readdirSync(folder).sort()) {
    const from = join(folder, name)
    const path = `${to}/${name}`
    const stat = lstatSync(from)
    if (stat.isDirectory()) {
      yield `mkdir ${path}`
      yield* putTree(from, path)
    } else if (stat.isSymbolicLink()) yield `symlink ${path} ${readlinkSync(from)}`
    else {
      yield `write ${from} ${path}`
      yield `sif ${path} mode 0${(0o100000 | (stat.mode & 0o7777)).toString(8)}`
      yield `sif ${path} uid 0`
      yield `sif ${path} gid 0`
    }
  }
}
