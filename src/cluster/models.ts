/**
 * Raspberry Pi models: what each can run and how each can boot.
 *
 * One row per model name of the cluster file. Names of kernels and device trees
 * are the files the firmware asks for on the boot partition.
 *
 * Source: Raspberry Pi documentation, "boot folder contents", "boot modes" and
 * "EEPROM boot flow"; device tree names as raspberrypi/linux builds them.
 */
import type { Model } from './node.ts'

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

export interface ModelFacts {
  /** The name on the box. */
  title: string
  /** The newest instruction set it runs. */
  cpu: 'armv6' | 'armv7' | 'armv8'
  ethernet: boolean
  wifi: boolean
  netboot: Netboot
  /** Kernel file for a 32-bit and for a 64-bit system; undefined: can't run it. */
  kernel: { armhf?: string; arm64?: string }
  /** Device trees, one per board revision. */
  deviceTrees: readonly string[]
  /** Whether the boot loader lies in an EEPROM instead of bootcode.bin. */
  eeprom: boolean
  /** First Raspberry Pi OS image that boots it, YYYY-MM-DD, where that has bitten people. */
  since?: string
}

const armv6 = { cpu: 'armv6', kernel: { armhf: 'kernel.img' }, eeprom: false } as const
const bcm2837 = {
  cpu: 'armv8',
  kernel: { armhf: 'kernel7.img', arm64: 'kernel8.img' },
  eeprom: false,
} as const
const bcm2711 = {
  cpu: 'armv8',
  ethernet: true,
  wifi: true,
  netboot: 'eeprom',
  kernel: { armhf: 'kernel7l.img', arm64: 'kernel8.img' },
  eeprom: true,
} as const
const bcm2712 = {
  ...bcm2711,
  // The 32-bit system runs on the 64-bit kernel here.
  kernel: { armhf: 'kernel_2712.img', arm64: 'kernel_2712.img' },
} as const

export const models: Record<Model, ModelFacts> = {
  pi1: {
    ...armv6,
    title: 'Raspberry Pi 1',
    ethernet: true,
    wifi: false,
    netboot: 'bootcode',
    deviceTrees: ['bcm2708-rpi-b.dtb', 'bcm2708-rpi-b-rev1.dtb', 'bcm2708-rpi-b-plus.dtb'],
  },
  pi2: {
    // v1.2 has the CPU of the Pi 3, but nobody can tell the two apart by name.
    title: 'Raspberry Pi 2',
    cpu: 'armv7',
    ethernet: true,
    wifi: false,
    netboot: 'bootcode',
    kernel: { armhf: 'kernel7.img' },
    deviceTrees: ['bcm2709-rpi-2-b.dtb', 'bcm2710-rpi-2-b.dtb'],
    eeprom: false,
  },
  pi3b: {
    ...bcm2837,
    title: 'Raspberry Pi 3 Model B',
    ethernet: true,
    wifi: true,
    netboot: 'otp',
    deviceTrees: ['bcm2710-rpi-3-b.dtb'],
  },
  'pi3b+': {
    ...bcm2837,
    title: 'Raspberry Pi 3 Model B+',
    ethernet: true,
    wifi: true,
    netboot: 'rom',
    deviceTrees: ['bcm2710-rpi-3-b-plus.dtb'],
    since: '2018-03-13',
  },
  'pi3a+': {
    ...bcm2837,
    title: 'Raspberry Pi 3 Model A+',
    ethernet: false,
    wifi: true,
    netboot: 'usb',
    deviceTrees: ['bcm2710-rpi-3-b-plus.dtb'],
    since: '2018-11-13',
  },
  pi4: {
    ...bcm2711,
    title: 'Raspberry Pi 4 Model B',
    deviceTrees: ['bcm2711-rpi-4-b.dtb'],
    since: '2019-06-20',
  },
  pi400: { ...bcm2711, title: 'Raspberry Pi 400', deviceTrees: ['bcm2711-rpi-400.dtb'] },
  pi5: {
    ...bcm2712,
    title: 'Raspberry Pi 5',
    deviceTrees: ['bcm2712-rpi-5-b.dtb', 'bcm2712d0-rpi-5-b.dtb'],
    since: '2023-10-10',
  },
  pi500: { ...bcm2712, title: 'Raspberry Pi 500', deviceTrees: ['bcm2712-rpi-500.dtb'] },
  cm3: {
    ...bcm2837,
    // Ethernet is the carrier board's.
    title: 'Compute Module 3',
    ethernet: true,
    wifi: false,
    netboot: 'otp',
    deviceTrees: ['bcm2710-rpi-cm3.dtb'],
  },
  cm4: { ...bcm2711, title: 'Compute Module 4', deviceTrees: ['bcm2711-rpi-cm4.dtb'] },
  cm5: {
    ...bcm2712,
    title: 'Compute Module 5',
    deviceTrees: ['bcm2712-rpi-cm5-cm5io.dtb', 'bcm2712-rpi-cm5-cm4io.dtb'],
  },
  zero: {
    ...armv6,
    title: 'Raspberry Pi Zero',
    ethernet: false,
    wifi: false,
    netboot: 'usb',
    deviceTrees: ['bcm2708-rpi-zero.dtb'],
  },
  zerow: {
    ...armv6,
    title: 'Raspberry Pi Zero W',
    ethernet: false,
    wifi: true,
    netboot: 'usb',
    deviceTrees: ['bcm2708-rpi-zero-w.dtb'],
  },
  zero2w: {
    ...bcm2837,
    title: 'Raspberry Pi Zero 2 W',
    ethernet: false,
    wifi: true,
    netboot: 'usb',
    deviceTrees: ['bcm2710-rpi-zero-2-w.dtb', 'bcm2710-rpi-zero-2.dtb'],
    since: '2021-10-30',
  },
}

export const modelNames = Object.keys(models) as Model[]
