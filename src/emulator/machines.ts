/**
 * Which of QEMU's machines starts a card: the board's own where there is one,
 * else `virt`, a machine of no maker whose devices are virtio, where the card's
 * kernel has the drivers of those; kernels built for Raspberry Pis alone have
 * none, and start on the machine of another board with the same chip.
 *
 * The boards' machines have one SD slot and one USB port, emulated register by
 * register: a first boot takes some three times as long on them as on `virt`,
 * and their network is a USB adapter.
 *
 * Source: QEMU, "Raspberry Pi boards" and "'virt' generic virtual platform".
 */
import { boards, type Model } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'

export interface MachineChoice {
  /** QEMU's name of it. */
  machine: string
  /** Of `virt`; undefined: the machine has its own. */
  cpu?: string
  /** Further words for `-M`. */
  settings?: string
  /** Whether the kernel gets the card's device tree; `virt` makes its own. */
  needsTree: boolean
  /** For people: why it is this one. */
  why: string
}

export interface CardKernel {
  arch: 'arm64' | 'arm' | undefined
  /** Whether the card's kernel can drive virtio's disk and network; undefined: it can't be told. */
  hasVirtio: boolean | undefined
}

/**
 * @param available names of QEMU's machines
 * @throws {UsageError} this QEMU can't start this card
 */
export function chooseMachine(
  model: Model,
  { arch, hasVirtio }: CardKernel,
  available: readonly string[],
): MachineChoice {
  const { title, cpu, qemuMachine } = boards[model]
  const own = qemuMachine !== null && available.includes(qemuMachine.name) ? qemuMachine : undefined
  if (own?.is === 'this board')
    return { machine: own.name, needsTree: true, why: `the machine of a ${title}` }
  const lacks = qemuMachine === null || own !== undefined ? 'QEMU' : 'this QEMU'
  const none = `${lacks} has no machine of a ${title}`
  // A kernel for the first Pi's ARMv6 starts on none of virt's processors.
  if (cpu !== 'armv6' && hasVirtio !== false)
    return {
      machine: 'virt',
      // What lies above 4 GiB, as its PCI bus does by itself, is out of reach of a 32-bit kernel without LPAE.
      ...(arch === 'arm' ? { cpu: 'cortex-a15', settings: 'highmem=off' } : { cpu: 'cortex-a72' }),
      needsTree: false,
      why: `${none}, and the kernel of the card has the drivers of virt`,
    }
  if (own !== undefined) return { machine: own.name, needsTree: true, why: `${none}; this one has its chip` }
  throw new UsageError(`this card can't be started: ${none}, and its kernel has no drivers for virt`, {
    hint: 'If the image is for other boards, too, start it as one of those: --as pi3b',
  })
}

/** Parameters for this machine in place of the board's: its console, and the patience that emulation needs. */
export function commandLineOn(machine: string, line: string): string {
  const words = line
    .split(' ')
    .filter((word) => word !== '' && word !== 'console=tty1' && word !== 'quiet')
    .map((word) => word.replace(/^console=serial0\b/, `console=${CONSOLE}`))
    .map((word) => (machine === 'virt' ? word.replace(/\/dev\/mmcblk0p(?=\d)/, '/dev/vda') : word))
  if (!words.some((word) => word.startsWith(`console=${CONSOLE}`))) words.push(`console=${CONSOLE}`)
  // udev's 90 s are not enough on a busy machine, and names of interfaces are a Pi's.
  words.push('systemd.default_device_timeout_sec=600', 'net.ifnames=0')
  // QEMU's watchdog bites at once: systemd, which sets it before a restart, would never come to unmount the root.
  if (machine !== 'virt') words.push('systemd.watchdog_device=/dev/none')
  // Without it the power regulator's driver ends the kernel: QEMU's has no such registers.
  if (/^raspi[01]/.test(machine)) words.push('initcall_blacklist=bcm2835_power_driver_init')
  return words.join(' ')
}

const CONSOLE = 'ttyAMA0'
