/**
 * A guest that boots a card.
 *
 * The part of the Pi's firmware is played here: kernel8.img, initramfs8 and
 * cmdline.txt are read out of the card's FAT with mtools, which share no code
 * with piimage, and handed to QEMU with the FAT's own command line.
 *
 * Alone, no root is needed: the network is QEMU's own (user mode), in which the
 * guest has its static address, and one port of 127.0.0.1 leads to its ssh.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../src/emulator/network.ts'
import { run } from '../support/tools.ts'
import { Guest, type Login, onThisBoard } from './guest.ts'

export interface CardToBoot extends Login {
  /** Path of the card: a file or a loop device. */
  card: string
  /** A folder for the kernel, the console log, known_hosts; kept by the caller. */
  folder: string
  /** The node's static address, dotted quad, in a /24. */
  address: string
}

const SECTOR = 512

/** Byte offset of the first partition: where the firmware looks for its files. */
function bootPartitionOffset(card: string): number {
  const sector = Buffer.alloc(SECTOR)
  const file = openSync(card, 'r')
  try {
    readSync(file, sector, 0, SECTOR, 0)
  } finally {
    closeSync(file)
  }
  if (sector.readUInt16LE(510) !== 0xaa55) throw new Error(`${card}: no partition table, so no boot`)
  return sector.readUInt32LE(446 + 8) * SECTOR
}

/** What the firmware does: files from the FAT, and the first line of cmdline.txt. */
function loadFromCard(card: string, folder: string): string {
  const image = `${card}@@${bootPartitionOffset(card)}`
  const names = ['kernel8.img', 'initramfs8', 'cmdline.txt']
  const copied = run('mcopy', ['-o', '-n', '-i', image, ...names.map((name) => `::${name}`), folder], {
    env: { MTOOLS_SKIP_CHECK: '1' },
  })
  if (copied.status !== 0) throw new Error(`${card}: ${copied.stderr.trim()}`)
  return onThisBoard(readFileSync(join(folder, 'cmdline.txt'), 'latin1').split(/\r?\n/, 1)[0] ?? '')
}

/** QEMU's arguments for the card in its slot. */
const slot = (card: string): string[] => [
  ...['-drive', `if=none,id=d0,file=${card},format=raw,cache=unsafe`],
  ...['-device', 'virtio-blk-pci,drive=d0'],
]

/** QEMU's arguments for a network of its own, whose only way in is a port of this machine. */
function ownNetwork(address: string, port: number): string[] {
  const net = address.replace(/\.\d+$/, '')
  const user = `user,id=n0,net=${net}.0/24,host=${net}.254,dns=${net}.253,hostfwd=tcp:127.0.0.1:${port}-${address}:22`
  return ['-netdev', user, '-device', 'virtio-net-pci,netdev=n0,romfile=']
}

/**
 * Boot a card and wait until its user can log in by ssh.
 *
 * @param deadlineMs for the login, over all reboots of the first boot
 * @throws {Error} the card has nothing to boot, the node stopped, or nobody could log in
 */
export async function bootCard(card: CardToBoot, deadlineMs = 900_000): Promise<Guest> {
  const port = await freePort()
  const guest = new Guest({
    ...card,
    host: '127.0.0.1',
    port,
    devices: [...slot(card.card), ...ownNetwork(card.address, port)],
    firmware: () => loadFromCard(card.card, card.folder),
  })
  guest.start()
  await guest.waitForSsh(deadlineMs)
  return guest
}
