/**
 * config.txt as the firmware of one board reads it: from top to bottom, lines
 * under a filter that isn't this board's left out, the last value of a key wins.
 *
 * Filters of one kind replace each other, filters of several kinds must all
 * hold, `[all]` forgets them. What depends on a screen, a pin or a special
 * reboot is taken as not so.
 *
 * Source: Raspberry Pi documentation, "config.txt", "Conditional filters".
 */
import type { Board } from '../boards.ts'

export interface Settings {
  /** The value that counts; undefined: the file doesn't say. */
  get(key: string): string | undefined
  /** All values of a key that adds up, such as `dtoverlay`. */
  all(key: string): string[]
  /** Files that are joined to the initial RAM disk, in order. */
  initramfs: string[]
  /** Files it includes; their lines are not in here. */
  includes: string[]
}

type FilterKind = 'model' | 'serial' | 'edid' | 'gpio' | 'tryboot'

/** @param serial 8 hex digits */
export function readSettings(text: string, board: Board, serial: string): Settings {
  const values = new Map<string, string[]>()
  const initramfs: string[] = []
  const includes: string[] = []
  const filters = new Map<FilterKind, boolean>()
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*/, '').trim()
    const section = /^\[([^\]]*)\]/.exec(line)?.[1]
    if (section !== undefined) {
      applyFilter(section.trim(), filters, board, serial)
      continue
    }
    if ([...filters.values()].includes(false)) continue
    const [, command, argument] = /^(initramfs|include)\s+(\S+)/.exec(line) ?? []
    if (argument !== undefined) {
      if (command === 'include') includes.push(argument)
      else initramfs.push(...argument.split(',').filter((name) => name !== ''))
      continue
    }
    const equals = line.indexOf('=')
    if (equals < 1) continue
    const key = line.slice(0, equals).trim()
    const value = line.slice(equals + 1).trim()
    if (key === 'ramfsfile') initramfs.push(...value.split(',').filter((name) => name !== ''))
    values.set(key, [...(values.get(key) ?? []), value])
  }
  return { get: (key) => values.get(key)?.at(-1), all: (key) => values.get(key) ?? [], initramfs, includes }
}

function applyFilter(section: string, filters: Map<FilterKind, boolean>, board: Board, serial: string): void {
  const word = section.toLowerCase()
  const boardType = /^board-type=(.+)$/.exec(word)?.[1]
  if (word === 'all') filters.clear()
  else if (word === 'none') filters.set('model', false)
  else if (boardType !== undefined) filters.set('model', Number(boardType) === board.boardType)
  else if (/^0x[0-9a-f]+$/.test(word))
    filters.set('serial', Number.parseInt(word, 16) === Number.parseInt(serial, 16))
  else if (word.startsWith('edid=') || word.startsWith('hdmi:')) filters.set('edid', false)
  else if (word.startsWith('gpio')) filters.set('gpio', false)
  else if (word === 'tryboot') filters.set('tryboot', false)
  else filters.set('model', board.filters.includes(word))
}
