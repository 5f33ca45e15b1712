/**
 * config.txt as the firmware of one board reads it: from top to bottom, lines
 * under a filter that does not hold left out, the last value of a key wins,
 * included files read in place.
 *
 * Filters of one kind replace each other, filters of several kinds must all
 * hold, `[all]` forgets them and `[none]` holds nothing until then. What
 * depends on a screen, a pin or a register of the board can't be told at the
 * desk: such lines don't count, and are listed so that somebody can be told.
 *
 * Source: Raspberry Pi documentation, "What is config.txt", "Conditional
 * filters" and "autoboot.txt"; for the expression filters (`[boot_partition=2]`,
 * `[bootvar0&1]`) the release notes of rpi-eeprom.
 */
import type { Board } from '../cluster/boards.ts'

/** What one start of a board depends on besides its model. */
export interface Situation {
  /** Hex digits, the last 8 of which count; undefined: not known. */
  serial?: string
  /** Number of the partition that it boots from; undefined: the first. */
  partition?: number
  /** Started once by `reboot '0 tryboot'`. */
  tryboot?: boolean
}

export interface SettingLine {
  /** `initramfs` and `include` stand without `=` in the file. */
  key: string
  value: string
  file: string
  /** From 1. */
  line: number
  /** The filters it stands under, as written: `[all]`, `[cm4] [gpio4=1]`; '' outside any. */
  filter: string
}

export interface Settings {
  /** The value that counts; undefined: the file doesn't say. */
  get(key: string): string | undefined
  /** Where that value stands. */
  where(key: string): SettingLine | undefined
  /** All values of a key that adds up, such as `dtoverlay`. */
  all(key: string): string[]
  /** Files that are joined to the initial RAM disk, in order. */
  initramfs: string[]
  /** All that count, in order. */
  lines: readonly SettingLine[]
  /** Those under a filter of which nobody can tell whether it holds: a pin, a screen, a register, an unknown serial number. */
  uncertain: readonly SettingLine[]
}

/** The firmware reads no more of a line. */
const MAX_LINE_CHARACTERS = 98
/** Files that include each other go round for ever otherwise. */
const MAX_INCLUDES = 32

type FilterKind = 'model' | 'serial' | 'edid' | 'gpio' | 'tryboot' | 'expression' | 'none'
type Holds = 'yes' | 'no' | 'unknown'
type FilterBoard = Pick<Board, 'filters' | 'boardType'>
/** Those in force, by kind, as written; the newest stands last. */
type Filters = Map<FilterKind, string>

/** One file's lines with the filters over each, none judged. @param filters those in force where it begins; changed */
export function* readLines(text: string, filters: Filters = new Map()) {
  for (const [index, raw] of text
    .replace(/^(?:\ufeff|\u00ef\u00bb\u00bf)/, '')
    .split('\n')
    .entries()) {
    const line = raw.slice(0, MAX_LINE_CHARACTERS).replace(/#.*/, '').trim()
    const section = /^\[([^\]]*)\]/.exec(line)?.[1]?.trim()
    if (section?.toLowerCase() === 'all') filters.clear()
    else if (section !== undefined) {
      const kind = kindOf(section.toLowerCase())
      filters.delete(kind)
      filters.set(kind, section)
    }
    const [, key, value] = /^(initramfs|include)\s+(\S+)/.exec(line) ?? /^([^=[][^=]*)=(.*)$/.exec(line) ?? []
    if (key !== undefined && value !== undefined)
      yield { key: key.trim(), value: value.trim(), line: index + 1, filters: [...filters.values()] }
  }
}

/** @param include text of another file of the boot partition; undefined: it isn't there */
export async function readSettings(
  text: string,
  board: FilterBoard,
  situation: Situation,
  include: (name: string) => Promise<string | undefined> = async () => undefined,
): Promise<Settings> {
  const filters: Filters = new Map()
  const lines: SettingLine[] = []
  const uncertain: SettingLine[] = []

  let includes = 0
  async function readFile(content: string, file: string): Promise<void> {
    for (const { key, value, line, filters: over } of readLines(content, filters)) {
      const held = over.map((filter) => judgeFilter(filter.toLowerCase(), board, situation))
      const said: SettingLine = { key, value, file, line, filter: over.map((one) => `[${one}]`).join(' ') }
      if (held.includes('no')) continue
      if (held.includes('unknown')) {
        uncertain.push(said)
        continue
      }
      lines.push(said)
      if (key !== 'include' || includes >= MAX_INCLUDES) continue
      includes += 1
      const included = await include(value)
      if (included !== undefined) await readFile(included, value)
    }
  }

  await readFile(text, 'config.txt')
  const where = (key: string) => lines.findLast((line) => line.key === key)
  const all = (key: string) => lines.filter((line) => line.key === key).map(({ value }) => value)
  const initramfs = lines
    .filter(({ key }) => key === 'initramfs' || key === 'ramfsfile')
    .flatMap(({ value }) => value.split(',').filter((name) => name !== ''))
  return { get: (key) => where(key)?.value, where, all, initramfs, lines, uncertain }
}

const EXPRESSION = /^(boot_partition|partition|bootvar0|boot_count|boot_arg1|cust_otp[0-7])([=<>&].*)$/

function kindOf(word: string): FilterKind {
  if (word === 'none' || word === 'tryboot') return word
  if (/^0x[0-9a-f]+$/.test(word)) return 'serial'
  if (word.startsWith('edid=') || word.startsWith('hdmi:')) return 'edid'
  if (word.startsWith('gpio')) return 'gpio'
  return EXPRESSION.test(word) ? 'expression' : 'model'
}

function judgeFilter(word: string, board: FilterBoard, situation: Situation): Holds {
  const sure = (holds: boolean): Holds => (holds ? 'yes' : 'no')
  switch (kindOf(word)) {
    case 'none':
      return 'no'
    case 'tryboot':
      return sure(situation.tryboot === true)
    case 'serial': {
      const low = (hex: string) => Number.parseInt(hex.slice(-8), 16)
      const { serial } = situation
      return serial === undefined ? 'unknown' : sure(low(word.slice(2)) === low(serial))
    }
    case 'edid':
    case 'gpio':
      return 'unknown'
    case 'expression': {
      const [, register = '', rest = ''] = EXPRESSION.exec(word) ?? []
      // `partition` is the one that a reboot asked for, and a cold start asks for none.
      const value = { boot_partition: situation.partition ?? 1, partition: 0 }[register]
      return value === undefined ? 'unknown' : sure(isTrue(value, rest))
    }
    case 'model': {
      const boardType = /^board-type=(.+)$/.exec(word)?.[1]
      return sure(
        boardType === undefined ? board.filters.includes(word) : Number(boardType) === board.boardType,
      )
    }
  }
}

/** `=N`, `<N`, `>N`, `&MASK`, `&MASK=N` of a register's value. */
function isTrue(value: number, expression: string): boolean {
  const [, operator, first, second] = /^([=<>&])(\w+)(?:=(\w+))?$/.exec(expression) ?? []
  const operand = Number(first)
  if (operator === '=') return value === operand
  if (operator === '<') return value < operand
  if (operator === '>') return value > operand
  const masked = value & operand
  return operator === '&' && (second === undefined ? masked !== 0 : masked === Number(second))
}
