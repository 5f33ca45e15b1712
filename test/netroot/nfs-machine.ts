/**
 * A machine with a stock Debian kernel, in QEMU: its root file system is an ext4
 * that holds this machine's NFS tools and Node, and the program that it runs.
 * Nothing of it is installed: the kernel comes from a package's files.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../../src/package-root.ts'
import { makeSparseFile } from '../support/loop.ts'
import { run } from '../support/tools.ts'

const GiB = 1024 ** 3
/** What the guest's first program calls, and what serves there. */
const PROGRAMS = 'node sh mount umount blkid exportfs rpc.mountd rpc.nfsd rpcbind'.split(' ')
const SETTINGS = 'netconfig protocols services rpc passwd group nsswitch.conf ld.so.cache'.split(' ')
const MODULES = ['virtio_pci', 'virtio_blk', 'nfsd', 'overlay', 'loop', 'xfs']

function must(command: string, args: string[], input?: Uint8Array): string {
  const { status, stdout, stderr } = run(command, args, { input })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
  return stdout
}

function copyProgram(root: string, name: string): void {
  const path =
    name === 'node'
      ? process.execPath
      : must('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${name}`]).trim()
  const libraries = run('ldd', [path]).stdout.match(/\/\S+(?= \()/g) ?? []
  for (const file of [path, ...libraries]) {
    const to = join(root, file)
    mkdirSync(dirname(to), { recursive: true })
    must('cp', ['-L', '--no-clobber', file, to])
  }
  if (name === 'node') must('ln', ['-sf', path, join(root, 'node')])
}

/** @param init a shell script that ends with the program to run */
export function makeRoot(root: string, init: string): void {
  for (const folder of 'proc sys dev run tmp srv heads etc/exports.d etc/cron.d root/cluster var/lib/nfs'.split(
    ' ',
  ))
    mkdirSync(join(root, folder), { recursive: true })
  for (const name of PROGRAMS) copyProgram(root, name)
  for (const name of SETTINGS) run('cp', ['-L', `/etc/${name}`, join(root, 'etc')])
  must('sh', ['-c', `cp -L "$(PATH=$PATH:/bin command -v busybox)" '${root}/busybox'`])
  cpSync(join(packageRoot(), 'build'), join(root, 'piimage/build'), { recursive: true })
  cpSync(join(packageRoot(), 'package.json'), join(root, 'piimage/package.json'))
  writeFileSync(join(root, 'init'), init, { mode: 0o755 })
}

/** An ext4 or XFS, mounted until `unmount`. */
export function makeDisk(path: string, mkfs: readonly string[], folder: string): () => void {
  makeSparseFile(path, 6 * GiB)
  must(mkfs[0] ?? '', [...mkfs.slice(1), path])
  mkdirSync(folder, { recursive: true })
  must('mount', ['-o', 'loop', path, folder])
  return () => void must('umount', [folder])
}

/** The kernel's modules and what they need, each after those it needs, and a busybox that loads them. */
function makeInitramfs(kernel: string, folder: string): string {
  const modules = join(kernel, 'lib/modules')
  const [version = ''] = readdirSync(modules)
  must('busybox', ['depmod', '-b', kernel, version])
  const needs = new Map(
    readFileSync(join(modules, version, 'modules.dep'), 'utf8')
      .split('\n')
      .map((line) => line.split(':'))
      .map(([file = '', rest = '']) => [file, rest.split(' ').filter((one) => one !== '')] as const),
  )
  const order = new Set<string>()
  const add = (file: string): void => {
    if (order.has(file)) return
    for (const other of (needs.get(file) ?? []).toReversed()) add(other)
    order.add(file)
  }
  for (const name of MODULES)
    for (const file of needs.keys())
      if (
        file
          .split('/')
          .at(-1)
          ?.replace(/\.ko.*/, '') === name
      )
        add(file)
  const tree = join(folder, 'initramfs')
  for (const name of ['bin', 'modules', 'root', 'dev', 'proc'])
    mkdirSync(join(tree, name), { recursive: true })
  must('sh', ['-c', `cp -L "$(PATH=$PATH:/bin command -v busybox)" '${tree}/bin/busybox'`])
  const files = [...order]
  for (const file of files) must('cp', [join(modules, version, file), join(tree, 'modules')])
  const script = [
    '#!/bin/busybox sh',
    'export PATH=/bin',
    '/bin/busybox --install -s /bin',
    'mount -t devtmpfs dev /dev',
    ...files.map((file) => `insmod /modules/${file.split('/').at(-1)}`),
    'n=0; until [ -b /dev/vda ] || [ $n = 100 ]; do n=$((n + 1)); sleep 0.1; done',
    'mount -t ext4 /dev/vda /root && mount -o move /dev /root/dev && exec switch_root /root /init',
  ]
  writeFileSync(join(tree, 'init'), `${script.join('\n')}\n`, { mode: 0o755 })
  const archive = join(folder, 'initramfs.cpio')
  must('sh', ['-c', `cd '${tree}' && find . | cpio -o -H newc --quiet >'${archive}'`])
  return archive
}

const architectures: Record<string, { qemu: string[]; console: string; kernel: RegExp }> = {
  x64: { qemu: ['qemu-system-x86_64', '-M', 'q35', '-cpu', 'max'], console: 'ttyS0', kernel: /^vmlinuz/ },
  arm64: {
    qemu: ['qemu-system-aarch64', '-M', 'virt', '-cpu', 'max'],
    console: 'ttyAMA0',
    kernel: /^vmlinuz/,
  },
}

/** QEMU's command for this architecture, or undefined. */
export const qemuHere = (): string | undefined => architectures[process.arch]?.qemu[0]

/**
 * @param kernel folder with a kernel package's `boot` and `lib`
 * @returns what its console said, when it has powered itself off
 */
export async function boot(kernel: string, folder: string, disks: readonly string[]): Promise<string> {
  const here = architectures[process.arch]
  if (here === undefined) throw new Error(`no QEMU for ${process.arch}`)
  const [name = ''] = readdirSync(join(kernel, 'boot')).filter((one) => here.kernel.test(one))
  const [program = '', ...machine] = here.qemu
  const words = [
    ...[...machine, '-accel', 'tcg,thread=multi', '-smp', '2', '-m', '1536', '-no-reboot'],
    ...['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-nic', 'none'],
    ...['-kernel', join(kernel, 'boot', name), '-initrd', makeInitramfs(kernel, folder)],
    ...['-append', `console=${here.console} quiet panic=-1`],
    ...disks.flatMap((path) => ['-drive', `file=${path},format=raw,if=virtio,cache=unsafe`]),
  ]
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  })
  return said
}
