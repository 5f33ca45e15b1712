/**
 * Raspberry Pi boards, one row each: what a board can run, how it boots, what its
 * boot ROM asks for, and which settings of config.txt count on it. Everything else
 * that depends on the board is derived from here; a row without one of the facts
 * does not compile.
 *
 * Names of kernels and device trees are the files the firmware asks for on the
 * boot partition.
 *
 * Source: Raspberry Pi documentation, "boot folder contents", "boot modes", "EEPROM
 * boot flow", "Network booting", "Conditional filters" and "Raspberry Pi revision
 * codes"; device tree names as raspberrypi/linux builds them; tags of devices from
 * Imager's os_list_imagingutility_v4.json; logs of dnsmasq that users published.
 */

/**
 * How a board boots with no card in it.
 *
 * - `rom`: set at the factory (3B+).
 * - `otp`: after `program_usb_boot_mode=1` was set once in config.txt.
 * - `bootcode`: not at all without a card; a card that holds only bootcode.bin will do.
 * - `eeprom`: BOOT_ORDER of its EEPROM decides.
 * - `usb`: no Ethernet; only as a USB device of another Pi (ClusterHAT).
 */
export type Netboot = 'rom' | 'otp' | 'bootcode' | 'eeprom' | 'usb'

/** Which program loads the firmware, and so the order of its requests. */
export type Loader =
  /** bootcode.bin, from the boot ROM or from a card, then start.elf. */
  | 'bootcode'
  /** The EEPROM of BCM2711 boards, then start4.elf. */
  | 'start4'
  /** The EEPROM of BCM2712 boards, which starts the kernel itself. */
  | 'direct'

/**
 * What DHCP option 97 holds: the boot ROM's constant, the serial number, or the
 * EEPROM's name of the chip with revision, MAC address and serial number.
 */
export type MachineId = 'constant' | 'serial' | 'RPi4' | 'RPi5'

/**
 * How Raspberry Pi Imager puts somebody's account, key and Wi-Fi into a published image; `none`: it can't.
 * `systemd`: a script that systemd runs. `cloudinit`: user-data and network-config; `-rpi`: with the
 * module of Raspberry Pi OS.
 *
 * Source: raspberrypi/rpi-imager, doc/os_customisation_formats.md.
 */
export type ImagerFormat = 'none' | 'systemd' | 'cloudinit' | 'cloudinit-rpi'

export interface Board {
  /** The name on the box. */
  title: string
  /** The newest instruction set it runs. */
  cpu: 'armv6' | 'armv7' | 'armv8'
  ethernet: boolean
  wifi: boolean
  /** Whether its USB socket can be the device's end of the cable; on compute modules the carrier decides. */
  devicePort: boolean
  computeModule: boolean
  /** Whether a ClusterHAT can sit on it. */
  carriesHat: boolean
  netboot: Netboot
  /** The board revision from which on OTP does what `netboot` says it can't; null: none. */
  otpFromRevision: string | null
  /** Seconds a DHCP server waits, because the boot ROM misses an answer that comes at once. */
  replyDelay: number
  /** Kernel file for a 32-bit and for a 64-bit system; undefined: can't run it. */
  kernel: { armhf?: string; arm64?: string }
  /** Device trees, one per board revision. */
  deviceTrees: readonly string[]
  /** Whether the boot loader lies in an EEPROM instead of bootcode.bin. */
  eeprom: boolean
  /** First Raspberry Pi OS image that boots it, YYYY-MM-DD, where that has bitten people. */
  since: string | null
  /** Tag of the device in Raspberry Pi Imager, without `-32bit` or `-64bit`. */
  imagerTag: string
  loader: Loader
  machineId: MachineId
  /** Whether it first asks below a folder named like its serial number. */
  asksBySerial: boolean
  /** Filters of config.txt that it sees, besides `all`. */
  filters: readonly string[]
  /** Type field of its revision code, for `[board-type=…]`. */
  boardType: number
  /** A revision code that this board could have. */
  revision: number
  /** Kernels it tries when config.txt names none: for arm_64bit=1, and for 0. */
  kernels: { bits64: readonly string[]; bits32: readonly string[] }
  /** What counts when config.txt doesn't say arm_64bit. */
  default64: boolean
  /** QEMU's machine of this board, or of another with its chip; null: none that gets as far as a root on its card. */
  qemuMachine: { name: string; is: 'this board' | 'its chip' } | null
}

/** What every board here has unless its row says otherwise. */
const usual = {
  computeModule: false,
  carriesHat: true,
  otpFromRevision: null,
  replyDelay: 0,
  since: null,
} as const

const bcm2835 = {
  ...usual,
  cpu: 'armv6',
  kernel: { armhf: 'kernel.img' },
  eeprom: false,
  imagerTag: 'pi1',
  loader: 'bootcode',
  machineId: 'constant',
  asksBySerial: false,
  kernels: { bits64: ['kernel.img'], bits32: ['kernel.img'] },
  default64: false,
  qemuMachine: { name: 'raspi0', is: 'its chip' },
} as const

const bcm2837 = {
  ...usual,
  cpu: 'armv8',
  kernel: { armhf: 'kernel7.img', arm64: 'kernel8.img' },
  eeprom: false,
  imagerTag: 'pi3',
  loader: 'bootcode',
  machineId: 'serial',
  asksBySerial: true,
  // A 32-bit kernel is looked for first, and a 64-bit one is taken where there is no other.
  kernels: { bits64: ['kernel8.img'], bits32: ['kernel7.img', 'kernel.img', 'kernel8.img'] },
  default64: false,
  qemuMachine: { name: 'raspi3b', is: 'its chip' },
} as const

const bcm2711 = {
  ...usual,
  cpu: 'armv8',
  ethernet: true,
  wifi: true,
  netboot: 'eeprom',
  kernel: { armhf: 'kernel7l.img', arm64: 'kernel8.img' },
  eeprom: true,
  imagerTag: 'pi4',
  loader: 'start4',
  machineId: 'RPi4',
  asksBySerial: true,
  kernels: {
    bits64: ['kernel8.img', 'kernel7l.img', 'kernel7.img', 'kernel.img'],
    bits32: ['kernel7l.img', 'kernel7.img', 'kernel.img'],
  },
  default64: true,
  qemuMachine: null,
} as const

const kernels2712 = ['kernel_2712.img', 'kernel8.img']
const bcm2712 = {
  ...bcm2711,
  // The 32-bit system runs on the 64-bit kernel here.
  kernel: { armhf: 'kernel_2712.img', arm64: 'kernel_2712.img' },
  imagerTag: 'pi5',
  loader: 'direct',
  machineId: 'RPi5',
  kernels: { bits64: kernels2712, bits32: kernels2712 },
} as const

const zero = { ethernet: false, devicePort: true, carriesHat: false, netboot: 'usb' } as const

const table = {
  pi1: {
    ...bcm2835,
    title: 'Raspberry Pi 1',
    ethernet: true,
    wifi: false,
    devicePort: false,
    netboot: 'bootcode',
    deviceTrees: ['bcm2708-rpi-b.dtb', 'bcm2708-rpi-b-rev1.dtb', 'bcm2708-rpi-b-plus.dtb'],
    qemuMachine: { name: 'raspi1ap', is: 'this board' },
    filters: ['pi1'],
    boardType: 0x03,
    revision: 0x900032,
  },
  pi2: {
    ...bcm2835,
    // v1.2 has the CPU of the Pi 3, but nobody can tell the two apart by name.
    title: 'Raspberry Pi 2',
    cpu: 'armv7',
    ethernet: true,
    wifi: false,
    devicePort: false,
    netboot: 'bootcode',
    otpFromRevision: '1.2',
    kernel: { armhf: 'kernel7.img' },
    deviceTrees: ['bcm2709-rpi-2-b.dtb', 'bcm2710-rpi-2-b.dtb'],
    imagerTag: 'pi2',
    kernels: { bits64: ['kernel7.img'], bits32: ['kernel7.img', 'kernel.img'] },
    qemuMachine: { name: 'raspi2b', is: 'this board' },
    filters: ['pi2'],
    boardType: 0x04,
    revision: 0xa01041,
  },
  pi3b: {
    ...bcm2837,
    title: 'Raspberry Pi 3 Model B',
    ethernet: true,
    wifi: true,
    devicePort: false,
    netboot: 'otp',
    replyDelay: 1,
    deviceTrees: ['bcm2710-rpi-3-b.dtb'],
    machineId: 'constant',
    qemuMachine: { name: 'raspi3b', is: 'this board' },
    filters: ['pi3'],
    boardType: 0x08,
    revision: 0xa02082,
  },
  'pi3b+': {
    ...bcm2837,
    title: 'Raspberry Pi 3 Model B+',
    ethernet: true,
    wifi: true,
    devicePort: false,
    netboot: 'rom',
    deviceTrees: ['bcm2710-rpi-3-b-plus.dtb'],
    since: '2018-03-13',
    filters: ['pi3', 'pi3+'],
    boardType: 0x0d,
    revision: 0xa020d3,
  },
  'pi3a+': {
    ...bcm2837,
    title: 'Raspberry Pi 3 Model A+',
    ethernet: false,
    wifi: true,
    devicePort: true,
    netboot: 'usb',
    deviceTrees: ['bcm2710-rpi-3-b-plus.dtb'],
    since: '2018-11-13',
    filters: ['pi3', 'pi3+'],
    qemuMachine: { name: 'raspi3ap', is: 'this board' },
    boardType: 0x0e,
    revision: 0x9020e0,
  },
  pi4: {
    ...bcm2711,
    title: 'Raspberry Pi 4 Model B',
    devicePort: true,
    deviceTrees: ['bcm2711-rpi-4-b.dtb'],
    since: '2019-06-20',
    filters: ['pi4'],
    boardType: 0x11,
    revision: 0xc03114,
  },
  pi400: {
    ...bcm2711,
    title: 'Raspberry Pi 400',
    devicePort: true,
    deviceTrees: ['bcm2711-rpi-400.dtb'],
    filters: ['pi4', 'pi400'],
    boardType: 0x13,
    revision: 0xc03130,
  },
  pi5: {
    ...bcm2712,
    title: 'Raspberry Pi 5',
    devicePort: true,
    deviceTrees: ['bcm2712-rpi-5-b.dtb', 'bcm2712d0-rpi-5-b.dtb'],
    since: '2023-10-10',
    filters: ['pi5'],
    boardType: 0x17,
    revision: 0xd04170,
  },
  pi500: {
    ...bcm2712,
    title: 'Raspberry Pi 500',
    devicePort: true,
    deviceTrees: ['bcm2712-rpi-500.dtb'],
    filters: ['pi5', 'pi500'],
    boardType: 0x19,
    revision: 0xd04190,
  },
  cm3: {
    ...bcm2837,
    // Ethernet is the carrier board's.
    title: 'Compute Module 3',
    ethernet: true,
    wifi: false,
    devicePort: false,
    computeModule: true,
    netboot: 'otp',
    deviceTrees: ['bcm2710-rpi-cm3.dtb'],
    filters: ['pi3'],
    boardType: 0x0a,
    revision: 0xa020a0,
  },
  cm4: {
    ...bcm2711,
    title: 'Compute Module 4',
    devicePort: false,
    computeModule: true,
    deviceTrees: ['bcm2711-rpi-cm4.dtb'],
    filters: ['pi4', 'cm4'],
    boardType: 0x14,
    revision: 0xc03140,
  },
  cm5: {
    ...bcm2712,
    title: 'Compute Module 5',
    devicePort: false,
    computeModule: true,
    deviceTrees: ['bcm2712-rpi-cm5-cm5io.dtb', 'bcm2712-rpi-cm5-cm4io.dtb'],
    filters: ['pi5', 'cm5'],
    boardType: 0x18,
    revision: 0xd04180,
  },
  zero: {
    ...bcm2835,
    ...zero,
    title: 'Raspberry Pi Zero',
    wifi: false,
    deviceTrees: ['bcm2708-rpi-zero.dtb'],
    qemuMachine: { name: 'raspi0', is: 'this board' },
    filters: ['pi0'],
    boardType: 0x09,
    revision: 0x900093,
  },
  zerow: {
    ...bcm2835,
    ...zero,
    title: 'Raspberry Pi Zero W',
    wifi: true,
    deviceTrees: ['bcm2708-rpi-zero-w.dtb'],
    filters: ['pi0', 'pi0w'],
    boardType: 0x0c,
    revision: 0x9000c1,
  },
  zero2w: {
    ...bcm2837,
    ...zero,
    title: 'Raspberry Pi Zero 2 W',
    wifi: true,
    deviceTrees: ['bcm2710-rpi-zero-2-w.dtb', 'bcm2710-rpi-zero-2.dtb'],
    since: '2021-10-30',
    filters: ['pi0', 'pi0w', 'pi02'],
    boardType: 0x12,
    revision: 0x902120,
  },
} satisfies Record<string, Board>

/** The names people use in cluster files. */
export type Model = keyof typeof table

export const boards: Record<Model, Board> = table

/** Where nothing else is said, and in examples. */
export const DEFAULT_MODEL: Model = 'pi4'

export const modelNames = Object.keys(boards) as Model[]

export const modelsWith = (has: (board: Board) => boolean): Model[] =>
  modelNames.filter((model) => has(boards[model]))

/** The model that a revision code of the new style names; undefined: none of ours. */
export function modelOfRevision(revision: number): Model | undefined {
  const newStyle = Math.floor(revision / 0x800000) % 2 === 1
  const type = Math.floor(revision / 16) % 256
  return newStyle ? modelNames.find((model) => boards[model].boardType === type) : undefined
}
