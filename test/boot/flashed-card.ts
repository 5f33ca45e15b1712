/**
 * Cards written by piimage: a cluster folder around the fixture image,
 * `piimage flash` onto a loop device, and `piimage inspect --check`.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { sshHostKey } from '../../src/secrets/identity.ts'
import { attachLoopDevice, detachLoopDevice, makeSparseFile } from '../support/loop.ts'
import { runPiimage } from '../support/project.ts'
import { run } from '../support/tools.ts'

/** Which first boot the card's system has. */
export type Trigger = 'cloud-init' | 'systemd.run'

export interface FlashedCard {
  card: string
  /** Private key of the user `ops`. */
  identity: string
  /** `ssh-ed25519 AAAA…`, as derived from the cluster's key. */
  hostKey: string
  /** Secrets that were on the card when it was flashed. */
  secrets: string[]
}

/** `openssl passwd -6 -salt piimagetest 'correct horse'` */
export const passwordHash =
  '$6$piimagetest$lLEWqUf97hWang3Buk3z2NImzHJmxOd87vmjQXSvrqj7t/fRnhBaX6aFezqQiUdQotZ9wteLwbzjoGhvcKOfL/'

/** The image's name in the lock, for the cluster file. */
export const IMAGE = 'pi-like-trixie-arm64-lite@2025-12-05'
/** The boot partition of the fixture. */
export const BOOT = { offset: 16384 * 512, length: 262144 * 512 }

function must(command: string, args: readonly string[], input?: string): void {
  const ran = run(command, args, {
    env: { MTOOLS_SKIP_CHECK: '1' },
    ...(input === undefined ? {} : { input }),
  })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
}

/** The image to flash: the fixture as it is, or without cloud-init's seed, as Bookworm has none. */
function prepareImage(fixture: string, folder: string, trigger: Trigger): string {
  const image = join(folder, 'image.img')
  must('sh', ['-c', 'xz -dc "$1" | dd of="$2" bs=1M conv=sparse status=none', 'sh', fixture, image])
  if (trigger === 'cloud-init') return image
  const volume = `${image}@@${BOOT.offset}`
  must('mdel', ['-i', volume, '::network-config', '::user-data', '::meta-data'])
  must('mcopy', ['-o', '-i', volume, '-', '::issue.txt'], 'Raspberry Pi reference 2024-11-19\n')
  const { stdout } = run('mtype', ['-i', volume, '::cmdline.txt'], { env: { MTOOLS_SKIP_CHECK: '1' } })
  must('mcopy', ['-o', '-i', volume, '-', '::cmdline.txt'], `${stdout.trim()} cloud-init=disabled\n`)
  // Its root says so, too.
  const release = join(folder, 'os-release')
  writeFileSync(
    release,
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
  )
  const root = `${image}?offset=${BOOT.offset + BOOT.length}`
  must('debugfs', ['-w', '-f', '-', root], `rm /usr/lib/os-release\nwrite ${release} /usr/lib/os-release\n`)
  return image
}

/** A step of the person's own, which counts how often it ran. */
function writeCountOverlay(folder: string): void {
  const overlay = join(folder, 'overlays', 'count')
  mkdirSync(overlay, { recursive: true })
  writeFileSync(
    join(overlay, 'overlay.yaml'),
    'name: count\nsummary: Counts how often first boot ran\nedits:\n  - firstboot: { phase: network, order: 60, script: count.sh }\n',
  )
  writeFileSync(join(overlay, 'count.sh'), 'set -eu\necho ran >>/var/lib/piimage/counted\n')
}

/**
 * A cluster folder around the fixture.
 *
 * @param folder gets the image, its lock, `cluster.key`, and the key pair `id_ed25519` of the person
 * @param adapt changes the unpacked image before it is locked
 * @returns path of the person's private key
 */
export function makeClusterFolder(
  fixture: string,
  folder: string,
  trigger: Trigger,
  clusterFile: string,
  adapt: (image: string) => void = () => {},
): string {
  const image = prepareImage(fixture, folder, trigger)
  adapt(image)
  const facts = {
    size: statSync(image).size,
    sha256: run('sha256sum', [image]).stdout.slice(0, 64),
    source: { kind: 'computed' },
  }
  const locked = {
    os: 'other',
    release: trigger === 'cloud-init' ? 'trixie' : 'bookworm',
    version: '2025-12-05',
    arch: 'arm64',
    variant: 'lite',
    url: 'file:image.img',
    format: 'img',
    download: facts,
    extracted: facts,
  }
  const put = (name: string, text: string, mode = 0o644) => writeFileSync(join(folder, name), text, { mode })
  put('images.lock.json', JSON.stringify({ lockfileVersion: 1, images: { [IMAGE]: locked } }))
  put('cluster.key', `${createHash('sha256').update(`boot ${trigger}`).digest('hex')}\n`, 0o600)
  put('cluster.yaml', clusterFile)
  const identity = join(folder, 'id_ed25519')
  must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', identity])
  return identity
}

/** Flash one node of a cluster folder to NODE.img there, and check it. */
export async function flashNode(folder: string, node: string): Promise<FlashedCard> {
  const card = join(folder, `${node}.img`)
  makeSparseFile(card, statSync(join(folder, 'image.img')).size)
  const loop = attachLoopDevice(card)
  try {
    for (const words of [
      ['flash', '--node', `${node}=${loop}`, '--yes'],
      ['inspect', loop, '--check'],
    ]) {
      const said = await runPiimage(folder, [...words, '--cache', join(folder, 'cache')])
      assert.equal(said.status, 0, said.stderr)
    }
  } finally {
    detachLoopDevice(loop)
  }
  const hostKey = sshHostKey(await readClusterKey(join(folder, 'cluster.key')), node)
  return {
    card,
    identity: join(folder, 'id_ed25519'),
    hostKey: hostKey.publicLine.split(' ').slice(0, 2).join(' '),
    secrets: [passwordHash, hostKey.privateKey.reveal()],
  }
}

/** No secret is in a file or a free cluster of the card's FAT. */
export function noSecretsOn(card: string, secrets: readonly string[]): void {
  const fat = Buffer.alloc(BOOT.length)
  const file = openSync(card, 'r')
  readSync(file, fat, 0, BOOT.length, BOOT.offset)
  closeSync(file)
  for (const secret of secrets) {
    for (const line of secret.split('\n').filter((text) => text.length > 20 && !text.startsWith('-----'))) {
      assert.equal(fat.indexOf(line), -1, 'a secret is still on the FAT')
    }
  }
}

export interface CardOptions {
  /** Changes the unpacked image before it is locked. */
  adapt?: (image: string) => void
  /** Lines for the cluster file. */
  settings?: string
}

/** The card of a cluster of one node, `oneil`. @param folder gets the cluster folder and the card */
export async function flashCard(
  fixture: string,
  folder: string,
  trigger: Trigger,
  address: string,
  { adapt, settings = '' }: CardOptions = {},
): Promise<FlashedCard> {
  const clusterFile = `cluster: sgc
image: ${IMAGE}
user: { name: ops, sshKeys: [id_ed25519.pub], passwordHash: '${passwordHash}' }
locale: { timezone: America/New_York }
network: { cidr: ${address.replace(/\.\d+$/, '.0')}/24, gateway: ${address.replace(/\d+$/, '254')}, domain: sgc.lan }
overlays: [ssh, cgroups, count]
${settings}
nodes:
  oneil: { model: pi3b+, address: ${address}/24 }
`
  makeClusterFolder(fixture, folder, trigger, clusterFile, adapt)
  writeCountOverlay(folder)
  return flashNode(folder, 'oneil')
}
