/** The QEMU of this machine: whether it is there, what it has, and how it is called for a card. */
import { UsageError } from '../errors.ts'
import { NO_PROGRAM, type RunProgram, runProgram } from '../io/run-program.ts'
import type { MachineChoice } from './machines.ts'

/** It has the 32-bit machines, too. */
export const QEMU = 'qemu-system-aarch64'

/** @returns names of its machines; @throws {UsageError} it isn't there */
export async function listMachines(signal: AbortSignal, run: RunProgram = runProgram): Promise<string[]> {
  const { status, stdout } = await run(QEMU, ['-machine', 'help'], { signal })
  if (status === NO_PROGRAM)
    throw new UsageError(`there is no ${QEMU} on this machine, which starts cards`, {
      hint: 'Install it: apt-get install qemu-system-arm (Debian, Ubuntu, Raspberry Pi OS), dnf install qemu-system-aarch64 (Fedora), brew install qemu (macOS).',
    })
  return stdout
    .split('\n')
    .map((line) => line.split(/\s/, 1)[0] ?? '')
    .filter((name) => name !== '')
}

/** What the firmware would hand over, as files; and where the card is. */
export interface Power {
  choice: MachineChoice
  /** Path of the card: raw bytes, written by the guest. */
  card: string
  kernel: string
  initramfs?: string
  deviceTree?: string
  commandLine: string
  /** Arguments for its network, see ./network.ts. */
  network: readonly string[]
}

export function qemuArguments(power: Power): string[] {
  const { choice, card, kernel, initramfs, deviceTree, commandLine, network } = power
  const { machine, cpu, settings } = choice
  const processor = cpu === undefined ? [] : ['-cpu', cpu, '-smp', '1', '-m', '1024']
  const drive = `file=${card.replaceAll(',', ',,')},format=raw,cache=unsafe`
  return [
    ...[
      '-M',
      settings === undefined ? machine : `${machine},${settings}`,
      ...processor,
      '-accel',
      'tcg,thread=multi',
    ],
    ...(cpu === undefined
      ? ['-drive', `if=sd,${drive}`]
      : ['-drive', `if=none,id=card,${drive}`, '-device', 'virtio-blk-pci,drive=card']),
    ...(cpu === undefined ? [] : ['-device', 'virtio-rng-pci']),
    ...network,
    ...['-kernel', kernel],
    ...(initramfs === undefined ? [] : ['-initrd', initramfs]),
    ...(deviceTree === undefined ? [] : ['-dtb', deviceTree]),
    ...['-append', commandLine, '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot'],
  ]
}
