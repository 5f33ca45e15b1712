/**
 * The first half of a boot, up to the firmware that reads config.txt: which
 * files each kind of board asks for, and in which order. `may` marks requests
 * that usually miss.
 *
 * Source: Raspberry Pi documentation, "Network boot flow"; logs of TFTP servers
 * that users published (3B+, 4); the order of a Pi 5 after tinkerbell's smee,
 * which serves them.
 */
import type { Board } from '../../cluster/boards.ts'
import { readSettings, type Settings } from '../../firmware/config-txt.ts'
import { startFilesOf } from '../../firmware/start-files.ts'
import type { Findings } from '../fault.ts'
import type { Requests } from './requests.ts'

export interface Loading {
  board: Board
  /** 8 hex digits. */
  serial: string
  requests: Requests
  findings: Findings
  /** Whether it boots from a card: then nothing lies below a serial number, and old boards have their loader on it, too. */
  card?: boolean
  /** Number of the partition that it boots from; undefined: the first. */
  partition?: number
}

/** @returns the settings of config.txt; undefined: the board stops before it has them */
export async function loadFirmware(loading: Loading): Promise<Settings | undefined> {
  const { loader } = loading.board
  if (loader === 'bootcode') return loadByBootcode(loading)
  return loader === 'start4' ? loadByEeprom4(loading) : loadByEeprom5(loading)
}

async function loadByBootcode(loading: Loading): Promise<Settings | undefined> {
  const { board, requests } = loading
  // By network, boards that don't ask below their serial number have bootcode.bin on a card.
  if (board.asksBySerial || loading.card === true) {
    const stage = await requests.must('bootcode.bin', 'the boot ROM loads it first and stops without it')
    if (stage === undefined) return undefined
    await requests.may('bootsig.bin')
    await choosePrefix(loading, ['start.elf'])
  }
  await requests.may('autoboot.txt')
  const settings = await readConfig(loading)
  await requests.may('recovery.elf')
  return loadStart(loading, settings)
}

async function loadByEeprom4(loading: Loading): Promise<Settings | undefined> {
  const { requests } = loading
  await choosePrefix(loading, ['start4.elf', 'start.elf'])
  const settings = await readConfig(loading)
  for (const name of ['vl805.sig', 'pieeprom.sig', 'recover4.elf', 'recovery.elf']) await requests.may(name)
  return loadStart(loading, settings)
}

/** The GPU's firmware, and what it asks for itself. */
async function loadStart(
  { board, serial, requests, findings }: Loading,
  settings: Settings | undefined,
): Promise<Settings | undefined> {
  const { start = '', fixup = '' } = startFilesOf(settings ?? { lines: [] }, board) ?? {}
  if ((await requests.must(start, 'the firmware of this board')) === undefined) return undefined
  await requests.must(fixup, `it belongs to ${start}; without it the board has little memory, or stops`)
  for (const name of ['recovery.elf', 'dt-blob.bin', 'bootcfg.txt']) await requests.may(name)
  noteNoConfig(requests, settings, findings)
  return settings ?? readSettings('', board, { serial })
}

/** It has its firmware in flash; all it wants is config.txt, and it acts on the one with two slashes. */
async function loadByEeprom5(loading: Loading): Promise<Settings | undefined> {
  const { serial, requests, findings } = loading
  await choosePrefix(loading, ['config.txt'])
  if (requests.prefix === '') {
    const settings = await readConfig(loading)
    noteNoConfig(requests, settings, findings)
    return settings
  }
  requests.prefix = `${serial}//`
  const settings = await readConfig(loading)
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
async function choosePrefix({ requests, serial, card }: Loading, names: readonly string[]): Promise<void> {
  if (card === true) return
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
      requests.layOut,
    )
}

async function readConfig({ requests, board, serial, partition }: Loading): Promise<Settings | undefined> {
  const text = async (name: string) => {
    const file = await requests.may(name)
    return file === undefined ? undefined : Buffer.from(file).toString('latin1')
  }
  const config = await text('config.txt')
  return config === undefined ? undefined : readSettings(config, board, { serial, partition }, text)
}
