/**
 * Judges a node's root file system where it lies on the server: does it start
 * there, and has it lost what belongs to a card?
 */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isReadOnly } from '../../cluster/root-modes.ts'
import type { ServedNode } from '../../netroot/served.ts'
import { readElfMachine } from '../../root/elf.ts'
import type { Findings } from '../fault.ts'
import type { KernelImage } from './kernel-image.ts'
import { isMounted, openNodeRoot, type RootTree, type ServerFiles } from './root-tree.ts'

const LAY_OUT = 'Lay the trees out again: piimage netroot.'
/** ELF files say their machine in the first bytes. */
const ELF_BYTES = 64

/** @param init from the kernel command line; undefined: the kernel's own choice */
export async function judgeRoot(
  node: ServedNode,
  disk: ServerFiles,
  kernel: KernelImage,
  init: string | undefined,
  findings: Findings,
): Promise<void> {
  const root = await openNodeRoot(node, disk)
  const points = disk.prefix === '' ? node.exports.map(({ folder }) => folder) : []
  for (const point of node.images === undefined ? [] : points)
    if (!(await isMounted(point)))
      findings.fault(
        'root',
        point,
        'it is not mounted, so it is not exported either',
        'Apply the servers’ files: piimage netroot --apply.',
      )
  if ((await root.list('/')).length === 0) {
    findings.fault('root', root.folder, 'the root is empty or not there', LAY_OUT)
    return
  }
  await judgeInit(root, kernel, init ?? '/sbin/init', findings)
  // A shared root is edited by what comes with the initial RAM disk.
  if (!isReadOnly(node.rootMode)) {
    await judgeFstab(root, findings)
    await judgeFirstBoot(root, findings)
  }
  if (node.volumeFolder !== undefined) await judgeVolume(disk.here(node.volumeFolder), findings)
}

/** @param again how to get a whole root back */
export async function judgeInit(
  root: RootTree,
  kernel: KernelImage,
  init: string,
  findings: Findings,
  again = LAY_OUT,
): Promise<void> {
  const place = root.folder + init
  const program = await root.resolve(init)
  const bytes = await root.read(init, ELF_BYTES)
  if (program === undefined || bytes === undefined) {
    findings.fault('root', place, 'not there: the kernel has nothing to start and panics', again)
    return
  }
  if (Math.floor(((await root.mode(init)) ?? 0) / 64) % 2 === 0)
    findings.fault('root', program, 'it may not be executed', again)
  // A script names its interpreter, which is one of the root's own programs.
  const interpreter = /^#!\s*(\S+)/.exec(bytes.toString('latin1'))?.[1]
  const machine = readElfMachine(
    interpreter === undefined ? bytes : ((await root.read(interpreter, ELF_BYTES)) ?? new Uint8Array()),
  )
  // 64-bit kernels run 32-bit programs too.
  const runs = kernel.arch === 'arm' ? ['arm'] : ['arm', 'arm64']
  if (machine === undefined) findings.fault('root', program, 'it is not a program (no ELF header)', again)
  else if (!runs.includes(machine))
    findings.fault(
      'root',
      program,
      `it is for ${machine.startsWith('arm') ? machine : `ELF machine ${machine}`}; this kernel runs ${runs.join(' and ')}`,
      'The root is of another architecture than the kernel. Take an image for this model.',
    )
}

async function judgeFstab(root: RootTree, findings: Findings): Promise<void> {
  const lines = (await root.read('/etc/fstab'))?.toString('utf8').split('\n') ?? []
  for (const [index, line] of lines.entries()) {
    const [device = '', at = ''] = line.trim().split(/\s+/)
    const onDrive = /^(PARTUUID|PARTLABEL|UUID|LABEL)=|^\/dev\/(mmcblk|sd|nvme|disk\/)/.test(device)
    if (onDrive || device === '/dev/nfs')
      findings.fault(
        'root',
        `${root.folder}/etc/fstab:${index + 1}`,
        onDrive
          ? `${device} for ${at}: a drive that is not there, and the boot waits for it`
          : `${device} for ${at}: the root is mounted already, and systemd would check it`,
        `Take the line out. ${LAY_OUT}`,
      )
  }
}

/** Units that grow the card's partition; on a root over NFS they fail the boot. */
async function judgeFirstBoot(root: RootTree, findings: Findings): Promise<void> {
  for (const unit of ['rpi-resize.service', 'resize2fs_once.service']) {
    const there =
      (await root.resolve(`/usr/lib/systemd/system/${unit}`)) ??
      (await root.resolve(`/etc/init.d/${unit.replace('.service', '')}`))
    if (there === undefined) continue
    if (!(await root.list('/etc/systemd/system')).includes(unit))
      findings.fault('root', there, `${unit} would resize the drive that is not there`, `Mask it. ${LAY_OUT}`)
  }
}

/** The superblock's magic of ext2, 3 and 4, and where it stands. */
const EXT_MAGIC = { offset: 1080, value: 0xef53 }

async function judgeVolume(folder: string, findings: Findings): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const handle = await open(join(folder, name)).catch(() => undefined)
    if (handle === undefined) continue
    try {
      if (!(await handle.stat()).isFile()) continue
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, EXT_MAGIC.offset)
      if (bytesRead === 2 && buffer.readUInt16LE(0) === EXT_MAGIC.value) return
    } finally {
      await handle.close()
    }
  }
  findings.fault(
    'root',
    folder,
    'no volume file with an ext4 file system: Docker has nowhere to keep its layers',
    LAY_OUT,
  )
}
