/** What is known of each board, once more and by itself: a fact that is lost or changed is noticed here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Board, boards, type Model, modelOfRevision, modelsWith } from '../../src/cluster/boards.ts'

const facts = (board: Board): string =>
  [
    board.cpu,
    board.netboot,
    board.loader,
    board.machineId,
    `${board.kernel.armhf}/${board.kernel.arm64 ?? '-'}`,
    board.deviceTrees.map((name) => name.replace(/^bcm(.*)\.dtb$/, '$1')).join(' '),
    `[${board.filters.join('][')}]`,
    `${board.boardType.toString(16)} ${board.revision.toString(16)}`,
    board.imagerTag,
    board.since ?? '-',
  ].join(' · ')

const expected: Record<Model, string> = {
  pi1: 'armv6 · bootcode · bootcode · constant · kernel.img/- · 2708-rpi-b 2708-rpi-b-rev1 2708-rpi-b-plus · [pi1] · 3 900032 · pi1 · -',
  pi2: 'armv7 · bootcode · bootcode · constant · kernel7.img/- · 2709-rpi-2-b 2710-rpi-2-b · [pi2] · 4 a01041 · pi2 · -',
  pi3b: 'armv8 · otp · bootcode · constant · kernel7.img/kernel8.img · 2710-rpi-3-b · [pi3] · 8 a02082 · pi3 · -',
  'pi3b+':
    'armv8 · rom · bootcode · serial · kernel7.img/kernel8.img · 2710-rpi-3-b-plus · [pi3][pi3+] · d a020d3 · pi3 · 2018-03-13',
  'pi3a+':
    'armv8 · usb · bootcode · serial · kernel7.img/kernel8.img · 2710-rpi-3-b-plus · [pi3][pi3+] · e 9020e0 · pi3 · 2018-11-13',
  pi4: 'armv8 · eeprom · start4 · RPi4 · kernel7l.img/kernel8.img · 2711-rpi-4-b · [pi4] · 11 c03114 · pi4 · 2019-06-20',
  pi400:
    'armv8 · eeprom · start4 · RPi4 · kernel7l.img/kernel8.img · 2711-rpi-400 · [pi4][pi400] · 13 c03130 · pi4 · -',
  pi5: 'armv8 · eeprom · direct · RPi5 · kernel_2712.img/kernel_2712.img · 2712-rpi-5-b 2712d0-rpi-5-b · [pi5] · 17 d04170 · pi5 · 2023-10-10',
  pi500:
    'armv8 · eeprom · direct · RPi5 · kernel_2712.img/kernel_2712.img · 2712-rpi-500 · [pi5][pi500] · 19 d04190 · pi5 · -',
  cm3: 'armv8 · otp · bootcode · serial · kernel7.img/kernel8.img · 2710-rpi-cm3 · [pi3] · a a020a0 · pi3 · -',
  cm4: 'armv8 · eeprom · start4 · RPi4 · kernel7l.img/kernel8.img · 2711-rpi-cm4 · [pi4][cm4] · 14 c03140 · pi4 · -',
  cm5: 'armv8 · eeprom · direct · RPi5 · kernel_2712.img/kernel_2712.img · 2712-rpi-cm5-cm5io 2712-rpi-cm5-cm4io · [pi5][cm5] · 18 d04180 · pi5 · -',
  zero: 'armv6 · usb · bootcode · constant · kernel.img/- · 2708-rpi-zero · [pi0] · 9 900093 · pi1 · -',
  zerow:
    'armv6 · usb · bootcode · constant · kernel.img/- · 2708-rpi-zero-w · [pi0][pi0w] · c 9000c1 · pi1 · -',
  zero2w:
    'armv8 · usb · bootcode · serial · kernel7.img/kernel8.img · 2710-rpi-zero-2-w 2710-rpi-zero-2 · [pi0][pi0w][pi02] · 12 902120 · pi3 · 2021-10-30',
}

test('each board is what it is', () => {
  const found = Object.fromEntries(Object.entries(boards).map(([model, board]) => [model, facts(board)]))
  assert.deepEqual(found, expected)
})

/** Which boards have it; all others have not. */
const traits: [string, (board: Board) => boolean, string][] = [
  ['a USB device port', (board) => board.devicePort, 'pi3a+ pi4 pi400 pi5 pi500 zero zerow zero2w'],
  ['Ethernet', (board) => board.ethernet, 'pi1 pi2 pi3b pi3b+ pi4 pi400 pi5 pi500 cm3 cm4 cm5'],
  ['Wi-Fi', (board) => board.wifi, 'pi3b pi3b+ pi3a+ pi4 pi400 pi5 pi500 cm4 cm5 zerow zero2w'],
  ['an EEPROM', (board) => board.eeprom, 'pi4 pi400 pi5 pi500 cm4 cm5'],
  ['a carrier board', (board) => board.computeModule, 'cm3 cm4 cm5'],
  ['no room for a ClusterHAT', (board) => !board.carriesHat, 'zero zerow zero2w'],
  ['a slow ROM', (board) => board.replyDelay > 0, 'pi3b'],
  ['OTP from a revision on', (board) => board.otpFromRevision !== null, 'pi2'],
  [
    'a folder of its serial number',
    (board) => board.asksBySerial,
    'pi3b pi3b+ pi3a+ pi4 pi400 pi5 pi500 cm3 cm4 cm5 zero2w',
  ],
  ['64 bits by default', (board) => board.default64, 'pi4 pi400 pi5 pi500 cm4 cm5'],
]

for (const [name, has, models] of traits)
  test(`boards with ${name}`, () => {
    assert.equal(modelsWith(has).join(' '), models)
  })

test('kernels that a board tries by itself', () => {
  const tried = Object.fromEntries(
    Object.entries(boards).map(([model, { kernels }]) => [
      model,
      `${kernels.bits64.join(' ')} | ${kernels.bits32.join(' ')}`,
    ]),
  )
  const one = 'kernel.img | kernel.img'
  const three = 'kernel8.img | kernel7.img kernel.img kernel8.img'
  const four = 'kernel8.img kernel7l.img kernel7.img kernel.img | kernel7l.img kernel7.img kernel.img'
  const five = 'kernel_2712.img kernel8.img | kernel_2712.img kernel8.img'
  assert.deepEqual(tried, {
    pi1: one,
    zero: one,
    zerow: one,
    pi2: 'kernel7.img | kernel7.img kernel.img',
    pi3b: three,
    'pi3b+': three,
    'pi3a+': three,
    cm3: three,
    zero2w: three,
    pi4: four,
    pi400: four,
    cm4: four,
    pi5: five,
    pi500: five,
    cm5: five,
  })
})

test('a revision code names one model, and titles are told apart', () => {
  for (const [model, { revision }] of Object.entries(boards)) assert.equal(modelOfRevision(revision), model)
  assert.equal(modelOfRevision(0x0010), undefined, 'of the old style')
  const titles = Object.values(boards).map(({ title }) => title)
  assert.equal(new Set(titles).size, titles.length)
})
