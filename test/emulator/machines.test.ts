import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Model } from '../../src/cluster/boards.ts'
import { chooseMachine, commandLineOn } from '../../src/emulator/machines.ts'
import { listMachines, qemuArguments } from '../../src/emulator/qemu.ts'
import { UsageError } from '../../src/errors.ts'

const qemu = ['raspi0', 'raspi1ap', 'raspi2b', 'raspi3ap', 'raspi3b', 'virt']

/** Model, whether the card's kernel has virtio, and QEMU's machines → the one that starts it. */
const choices: [Model, boolean | undefined, string[], string][] = [
  ['pi3b', true, qemu, 'raspi3b'],
  ['pi3b+', true, qemu, 'virt'],
  ['pi3b+', undefined, qemu, 'virt'],
  ['pi3b+', false, qemu, 'raspi3b'],
  ['pi4', true, qemu, 'virt'],
  ['pi5', true, qemu, 'virt'],
  ['pi2', true, qemu, 'raspi2b'],
  ['pi2', true, ['virt'], 'virt'],
  ['zero', false, qemu, 'raspi0'],
  ['zerow', true, qemu, 'raspi0'],
  ['pi1', false, qemu, 'raspi1ap'],
]

test('a board starts on its own machine, else on virt, else on its chip', () => {
  for (const [model, hasVirtio, available, machine] of choices) {
    const choice = chooseMachine(model, { arch: 'arm64', hasVirtio }, available)
    assert.equal(choice.machine, machine, model)
    assert.equal(choice.needsTree, machine !== 'virt', model)
  }
})

test('a 32-bit kernel gets a 32-bit processor, and what it can reach', () => {
  const on = (arch: 'arm' | 'arm64') => {
    const choice = chooseMachine('pi4', { arch, hasVirtio: true }, qemu)
    const rest = { card: 'card.img', kernel: 'kernel', commandLine: '', network: [] }
    return qemuArguments({ choice, ...rest }).slice(0, 4)
  }
  // The PCI bus, and the card on it, within 4 GiB.
  assert.deepEqual(on('arm'), ['-M', 'virt,highmem=off', '-cpu', 'cortex-a15'])
  assert.deepEqual(on('arm64'), ['-M', 'virt', '-cpu', 'cortex-a72'])
})

test('a card that no machine starts is refused, with what to try', () => {
  assert.throws(
    () => chooseMachine('pi5', { arch: 'arm64', hasVirtio: false }, qemu),
    (error: UsageError) =>
      /QEMU has no machine of a Raspberry Pi 5.* no drivers for virt/.test(error.message) &&
      /--as pi3b/.test(error.hint ?? ''),
  )
  assert.throws(() => chooseMachine('zerow', { arch: 'arm', hasVirtio: true }, ['virt']), UsageError)
})

test('the command line is the card’s, but for the console and names of the machine', () => {
  const line = 'console=serial0,115200 console=tty1 root=/dev/mmcblk0p2 rootwait quiet'
  assert.match(commandLineOn('virt', line), /^console=ttyAMA0,115200 root=\/dev\/vda2 rootwait /)
  assert.match(commandLineOn('raspi3b', line), /^console=ttyAMA0,115200 root=\/dev\/mmcblk0p2 rootwait /)
  assert.match(commandLineOn('virt', 'root=LABEL=rootfs'), / console=ttyAMA0 .*net\.ifnames=0$/)
  for (const machine of ['raspi0', 'raspi2b', 'raspi3b'])
    assert.match(commandLineOn(machine, line), / systemd\.watchdog_device=\/dev\/none\b/)
  assert.match(commandLineOn('raspi0', line), / initcall_blacklist=bcm2835_power_driver_init$/)
})

test('without QEMU it is said which package to install', async () => {
  const none = async () => ({ status: 127, stdout: '', stderr: '' })
  await assert.rejects(
    listMachines(new AbortController().signal, none),
    (error: UsageError) =>
      /no qemu-system-aarch64/.test(error.message) &&
      /apt-get install qemu-system-arm/.test(error.hint ?? ''),
  )
})
