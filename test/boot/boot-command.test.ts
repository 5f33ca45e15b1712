/**
 * `piimage boot` of a baked image that does not come up: no, with the reason,
 * and the image as it was. That one comes up: readme.test.ts. Slow, see
 * first-boot.test.ts.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { digestFile } from '../../src/io/digest-file.ts'
import { packageRoot } from '../../src/package-root.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needTool, run } from '../support/tools.ts'
import { BOOT, IMAGE, makeClusterFolder } from './flashed-card.ts'

const clusterFile = `cluster: sgc
image: ${IMAGE}
user: { name: ops, sshKeys: [id_ed25519.pub] }
network: { cidr: 172.19.181.0/24 }
overlays: [ssh, cgroups]
nodes:
  oneil: { model: pi3b+, address: 172.19.181.1/24 }
`

/** ELF's number of it. */
const AMD64 = 62

interface Broken {
  name: string
  /** A file of the boot partition, and its new bytes; undefined: it is removed. */
  boot?: [file: string, bytes?: (card: string) => Uint8Array]
  /** Commands of debugfs; FSTAB and FOREIGN are files. */
  root?: string
  /** Whether the check at the desk finds it. */
  walk?: true
  says: RegExp
}

/** Its header is what tells an ARM kernel from anything else. */
const withoutHead = (card: string): Buffer => readBoot(card, 'kernel8.img').fill(0, 0, 4096)
const ofAnotherRoot = (card: string): Buffer =>
  Buffer.from(readBoot(card, 'cmdline.txt').toString('latin1').replace('7a3f1c55-02', '7a3f1c55-07'))

const libc = '/usr/lib/aarch64-linux-gnu/libc.so.6'
const systemd = '/usr/lib/systemd/systemd'
const broken: Broken[] = [
  { name: 'no kernel', walk: true, boot: ['kernel8.img'], says: /no: kernel8\.img: not found/ },
  {
    name: 'no payload',
    walk: true,
    boot: ['piimage/run.sh'],
    says: /no: piimage\/run\.sh: not found/,
  },
  { name: 'a root without init', walk: true, root: 'rm /usr/sbin/init', says: /no: .*init/ },
  { name: 'no initial RAM disk', walk: true, boot: ['initramfs8'], says: /no: initramfs8: not found/ },
  {
    name: 'no device tree',
    walk: true,
    boot: ['bcm2837-rpi-3-b-plus.dtb'],
    says: /no: \S+\.dtb: no device tree of a Raspberry Pi 3 Model B\+/,
  },
  {
    name: 'a damaged kernel',
    walk: true,
    boot: ['kernel8.img', withoutHead],
    says: /no: kernel8\.img: the kernel is not whole/,
  },
  {
    name: 'the root of another card',
    walk: true,
    boot: ['cmdline.txt', ofAnotherRoot],
    says: /no: cmdline\.txt: root=PARTUUID=7a3f1c55-07 names no partition of this card/,
  },
  {
    name: 'an init of another architecture',
    walk: true,
    root: `rm ${systemd}\nwrite FOREIGN ${systemd}\nset_inode_field ${systemd} mode 0100755`,
    says: /no: \/sbin\/init: it is for ELF machine 62/,
  },
  {
    name: 'a root without its C library',
    root: `rm ${libc}`,
    says: /no: the kernel panics: Attempted to kill init/,
  },
  {
    name: 'a mount that fails',
    root: 'rm /etc/fstab\nwrite FSTAB /etc/fstab',
    says: /no: systemd stops in emergency mode: Failed to mount .*data/,
  },
]

test('a card that does not come up is told with the reason, and its image stays as it was', async (t) => {
  const fixture = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  if (fixture === undefined) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['mdel', 'mtools'],
    ['debugfs', 'e2fsprogs'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return
  const folder = tempFolder(t)
  makeClusterFolder(fixture, folder, 'cloud-init', clusterFile)
  const baked = await runPiimage(folder, ['bake', '--node', 'oneil', '-o', join(folder, 'out')])
  assert.equal(baked.status, 0, baked.stderr)
  writeFileSync(
    join(folder, 'fstab'),
    `PARTUUID=7a3f1c55-02 / ext4 defaults 0 1
PARTUUID=7a3f1c55-01 /boot/firmware vfat defaults 0 2
tmpfs /data nonsense defaults 0 0
`,
  )
  const foreign = join(folder, 'foreign')
  changeRoot(join(folder, 'out/oneil.img'), `dump ${systemd} ${foreign}`)
  const program = readFileSync(foreign)
  program.writeUInt16LE(AMD64, 18)
  writeFileSync(foreign, program)
  await stoppedLeavesNothing(folder)
  // Where the check at the desk has found something, there need be no QEMU.
  const empty = join(folder, 'empty')
  mkdirSync(empty)
  for (const { name, boot, root, walk, says } of broken) {
    const card = join(folder, 'card.img')
    copyFileSync(join(folder, 'out/oneil.img'), card)
    if (boot !== undefined) changeBoot(card, ...boot)
    if (root !== undefined)
      changeRoot(card, root.replace('FSTAB', join(folder, 'fstab')).replace('FOREIGN', foreign))
    const before = await digestFile(card, new AbortController().signal)
    const cli = join(packageRoot(), 'build/src/cli.js')
    const said = run(process.execPath, [cli, 'boot', './card.img'], {
      cwd: folder,
      env: { TMPDIR: folder, ...(walk === true ? { PATH: empty } : {}) },
    })
    t.diagnostic(`${name}: ${said.stdout.trim().split('\n').at(-1)}`)
    assert.equal(said.status, 7, `${name}: ${said.stdout}${said.stderr}`)
    assert.match(said.stdout, says, name)
    assert.equal(await digestFile(card, new AbortController().signal), before, name)
  }
})

/** The boot partition of a card, for mtools. */
const volumeOf = (card: string): string[] => ['-i', `${card}@@${BOOT.offset}`]

function readBoot(card: string, file: string): Buffer {
  const copy = `${card}.file`
  assert.equal(run('mcopy', ['-o', ...volumeOf(card), `::${file}`, copy]).status, 0, file)
  return readFileSync(copy)
}

function changeBoot(card: string, file: string, bytes?: (card: string) => Uint8Array): void {
  const ran =
    bytes === undefined
      ? run('mdel', [...volumeOf(card), `::${file}`])
      : run('mcopy', ['-o', ...volumeOf(card), '-', `::${file}`], { input: bytes(card) })
  assert.equal(ran.status, 0, `${file}: ${ran.stderr}`)
}

/** @param commands of debugfs, a line each; it says what failed, and ends well all the same */
function changeRoot(card: string, commands: string): void {
  const volume = `${card}?offset=${BOOT.offset + BOOT.length}`
  const { stderr } = run('debugfs', ['-w', '-f', '-', volume], { input: `${commands}\n` })
  assert.equal(stderr.replace(/^debugfs [\d.]+ .*\n/, ''), '', commands)
}

/** Ctrl-C while it starts. */
async function stoppedLeavesNothing(folder: string): Promise<void> {
  const cli = join(packageRoot(), 'build/src/cli.js')
  const piimage: ChildProcess = spawn(process.execPath, [cli, 'boot', './out/oneil.img'], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = once(piimage, 'exit')
  let said = ''
  piimage.stdout?.on('data', (text: Buffer) => {
    said += text.toString()
    if (/: kernel 6/.test(said)) piimage.kill('SIGINT')
  })
  assert.deepEqual(await ended, [130, null], said)
  assert.match(said, /: kernel 6/)
  assert.equal(run('pgrep', ['-f', join(folder, 'piimage-boot-')]).stdout, '', 'no guest runs on')
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('piimage-boot-')),
    [],
  )
}
