/**
 * The first half of a boot, up to the firmware that reads config.txt: which
 * files each kind of board asks for, and in which order. `may` marks requests
 * that usually miss.
 *
 * Source: Raspberry Pi documentation, "Network boot flow"; logs of TFTP servers
 * that users published (3B+, 4); the order of a Pi 5 after tinkerbell's smee,
 * which serves them.
 */
import type { Board } from '../boards.ts'
import type { Findings } from '../fault.ts'
import { readSettings, type Settings } from './config-txt.ts'
import type { Requests } from './requests.ts'

export interface Loading {
  board: Board
  /** 8 hex digits. */
  serial: string
  requests: Requests
  findings: Findings
}

/** @returns the settings of config.txt; undefined: the board stops before it has them */
export async function loadFirmware(loading: Loading): Promise<Settings | undefined> {
  const { loader } = loading.board
  if (loader === 'bootcode') return loadByBootcode(loading)
  return loader === 'start4' ? loadByEeprom4(loading) : loadByEeprom5(loading)
}

async function loadByBootcode(loading: Loading): Promise<Settings | undefined> {
  const { board, serial, requests } = loading
  // Boards that don't ask below their serial number have bootcode.bin on a card.
  if (board.asksBySerial) {
    const stage = await requests.must(
      'bootcode.bin',
      'the boot ROM loads it from the TFTP root and stops without it',
    )
    if (stage === undefined) return undefined
    await requests.may('bootsig.bin')
    await choosePrefix(requests, serial, ['start.elf'])
  }
  await requests.may('autoboot.txt')
  const settings = await readConfig(requests, board, serial)
  await requests.may('recovery.elf')
  return loadStart(loading, settings, firmwareFiles(settings, 'start', 'fixup', '_'))
}

async function loadByEeprom4(loading: Loading): Promise<Settings | undefined> {
  const { board, serial, requests } = loading
  await choosePrefix(requests, serial, ['start4.elf', 'start.elf'])
  const settings = await readConfig(requests, board, serial)
  for (const name of ['vl805.sig', 'pieeprom.sig', 'recover4.elf', 'recovery.elf']) await requests.may(name)
  return loadStart(loading, settings, firmwareFiles(settings, 'start4', 'fixup4', ''))
}

/** The GPU's firmware, and what it asks for itself. */
async function loadStart(
  { board, serial, requests, findings }: Loading,
  settings: Settings | undefined,
  { start, fixup }: ReturnType<typeof firmwareFiles>,
): Promise<Settings | undefined> {
  if ((await requests.must(start, 'the firmware of this board')) === undefined) return undefined
  await requests.must(fixup, `it belongs to ${start}; without it the board has little memory, or stops`)
  for (const name of ['recovery.elf', 'dt-blob.bin', 'bootcfg.txt']) await requests.may(name)
  noteNoConfig(requests, settings, findings)
  return settings ?? readSettings('', board, serial)
}

/** It has its firmware in flash; all it wants is config.txt, and it acts on the one with two slashes. */
async function loadByEeprom5({ board, serial, requests, findings }: Loading): Promise<Settings | undefined> {
  await choosePrefix(requests, serial, ['config.txt'])
  if (requests.prefix === '') {
    const settings = await readConfig(requests, board, serial)
    noteNoConfig(requests, settings, findings)
    return settings
  }
  requests.prefix = `${serial}//`
  const settings = await readConfig(requests, board, serial)
  requests.prefix = `${serial}/`
  if (settings === undefined)
    findings.fault(
      'tftp',
      `${serial}//config.txt`,
      `not served, although ${serial}/config.txt is: a Pi 5 asks with two slashes and loops without an answer`,
      'Use a TFTP server that takes // for /, as dnsmasq does.',
    )
  for (const name of ['vl805.sig', 'pieeprom.sig', 'recovery.elf', 'bootcfg.txt']) await requests.may(name)
  return settings
}

/** A board that finds none of these below its serial number asks for everything without it. */
async function choosePrefix(requests: Requests, serial: string, names: readonly string[]): Promise<void> {
  requests.prefix = `${serial}/`
  for (const name of names) if (await requests.probe(name)) return
  requests.prefix = ''
}

function noteNoConfig(requests: Requests, settings: Settings | undefined, findings: Findings): void {
  if (settings === undefined)
    findings.fault(
      'firmware',
      requests.placeOf('config.txt'),
      'not found: the board starts with settings that the image is not made for',
      'Lay the trees out again: piimage netroot.',
    )
}

const firmwareOf = (text: Uint8Array): string => Buffer.from(text).toString('latin1')

async function readConfig(requests: Requests, board: Board, serial: string): Promise<Settings | undefined> {
  const file = await requests.may('config.txt')
  if (file === undefined) return undefined
  let text = firmwareOf(file)
  for (const name of readSettings(text, board, serial).includes) {
    const included = await requests.may(name)
    if (included !== undefined) text = text.replace(`include ${name}`, () => firmwareOf(included))
  }
  return readSettings(text, board, serial)
}

/** Variants of the firmware: cut down for little memory, with the camera, with debugging. */
function firmwareFiles(
  settings: Settings | undefined,
  start: string,
  fixup: string,
  joint: string,
): { start: string; fixup: string } {
  const memory = settings?.get('gpu_mem')
  const variant =
    settings?.get('start_x') === '1'
      ? `${joint}x`
      : settings?.get('start_debug') === '1'
        ? `${joint}db`
        : memory !== undefined && Number(memory) <= 16
          ? `${joint}cd`
          : ''
  return {
    start: settings?.get('start_file') ?? `${start}${variant}.elf`,
    fixup: settings?.get('fixup_file') ?? `${fixup}${variant}.dat`,
  }
}
