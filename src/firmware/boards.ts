/**
 * Boards as a boot server meets them: what each says in its DHCP request, how it
 * asks for files and which settings of config.txt count on it. What is in
 * src/cluster/models.ts (kernels, device trees) is not said again.
 *
 * Source: Raspberry Pi documentation, "Network booting", "Conditional filters"
 * and "Raspberry Pi revision codes"; logs of dnsmasq that users published.
 */
import type { Model } from '../cluster/node.ts'

/** Which program loads the firmware, and so the order of its requests. */
export type Loader =
  /** bootcode.bin, from the boot ROM or from a card, then start.elf. */
  | 'bootcode'
  /** The EEPROM of BCM2711 boards, then start4.elf. */
  | 'start4'
  /** The EEPROM of BCM2712 boards, which starts the kernel itself. */
  | 'direct'

/**
 * What option 97 holds: the boot ROM's constant, the serial number, or the
 * EEPROM's name of the chip with revision, MAC address and serial number.
 */
export type MachineId = 'constant' | 'serial' | 'RPi4' | 'RPi5'

export interface Board {
  loader: Loader
  machineId: MachineId
  /** Filters of config.txt that it sees, besides `all`. */
  filters: readonly string[]
  /** Type field of its revision code, for `[board-type=…]`. */
  boardType: number
  /** A revision code that this board could have. */
  revision: number
  /** Whether it first asks below a folder named like its serial number. */
  asksBySerial: boolean
  /** Kernels it tries when config.txt names none: for arm_64bit=1, and for 0. */
  kernels: { bits64: readonly string[]; bits32: readonly string[] }
  /** What counts when config.txt doesn't say arm_64bit. */
  default64: boolean
}

const armv6Kernels = { bits64: ['kernel.img'], bits32: ['kernel.img'] }
const three: Omit<Board, 'filters' | 'boardType' | 'revision'> = {
  loader: 'bootcode',
  machineId: 'serial',
  asksBySerial: true,
  // A 32-bit kernel is looked for first, and a 64-bit one is taken where there is no other.
  kernels: { bits64: ['kernel8.img'], bits32: ['kernel7.img', 'kernel.img', 'kernel8.img'] },
  default64: false,
}
const four: Omit<Board, 'filters' | 'boardType' | 'revision'> = {
  loader: 'start4',
  machineId: 'RPi4',
  asksBySerial: true,
  kernels: {
    bits64: ['kernel8.img', 'kernel7l.img', 'kernel7.img', 'kernel.img'],
    bits32: ['kernel7l.img', 'kernel7.img', 'kernel.img'],
  },
  default64: true,
}
const fiveKernels = ['kernel_2712.img', 'kernel8.img']
const five: Omit<Board, 'filters' | 'boardType' | 'revision'> = {
  loader: 'direct',
  machineId: 'RPi5',
  asksBySerial: true,
  kernels: { bits64: fiveKernels, bits32: fiveKernels },
  default64: true,
}
const one: Omit<Board, 'filters' | 'boardType' | 'revision'> = {
  loader: 'bootcode',
  machineId: 'constant',
  asksBySerial: false,
  kernels: armv6Kernels,
  default64: false,
}

export const boards: Record<Model, Board> = {
  pi1: { ...one, filters: ['pi1'], boardType: 0x03, revision: 0x900032 },
  pi2: {
    ...one,
    kernels: { bits64: ['kernel7.img'], bits32: ['kernel7.img', 'kernel.img'] },
    filters: ['pi2'],
    boardType: 0x04,
    revision: 0xa01041,
  },
  pi3b: { ...three, machineId: 'constant', filters: ['pi3'], boardType: 0x08, revision: 0xa02082 },
  'pi3b+': { ...three, filters: ['pi3', 'pi3+'], boardType: 0x0d, revision: 0xa020d3 },
  'pi3a+': { ...three, filters: ['pi3', 'pi3+'], boardType: 0x0e, revision: 0x9020e0 },
  cm3: { ...three, filters: ['pi3'], boardType: 0x0a, revision: 0xa020a0 },
  pi4: { ...four, filters: ['pi4'], boardType: 0x11, revision: 0xc03114 },
  pi400: { ...four, filters: ['pi4', 'pi400'], boardType: 0x13, revision: 0xc03130 },
  cm4: { ...four, filters: ['pi4', 'cm4'], boardType: 0x14, revision: 0xc03140 },
  pi5: { ...five, filters: ['pi5'], boardType: 0x17, revision: 0xd04170 },
  cm5: { ...five, filters: ['pi5', 'cm5'], boardType: 0x18, revision: 0xd04180 },
  pi500: { ...five, filters: ['pi5', 'pi500'], boardType: 0x19, revision: 0xd04190 },
  zero: { ...one, filters: ['pi0'], boardType: 0x09, revision: 0x900093 },
  zerow: { ...one, filters: ['pi0', 'pi0w'], boardType: 0x0c, revision: 0x9000c1 },
  zero2w: { ...three, filters: ['pi0', 'pi0w', 'pi02'], boardType: 0x12, revision: 0x902120 },
}

/** The model that a revision code of the new style names; undefined: none of ours. */
export function modelOfRevision(revision: number): Model | undefined {
  const newStyle = Math.floor(revision / 0x800000) % 2 === 1
  const type = Math.floor(revision / 16) % 256
  const found = Object.entries(boards).find(([, board]) => board.boardType === type)
  return newStyle ? (found?.[0] as Model | undefined) : undefined
}
