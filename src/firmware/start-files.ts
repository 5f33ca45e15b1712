/**
 * The GPU's firmware: boards before the Pi 5 load a pair of files, of which
 * there are variants: cut down for little memory, with the camera's codecs,
 * with debugging.
 *
 * Source: Raspberry Pi documentation, "Boot folder contents" and "Boot options".
 */
import type { Board } from '../cluster/boards.ts'
import type { Settings } from './config-txt.ts'

export interface StartFiles {
  start: string
  fixup: string
  /** The setting that asks for a variant; undefined: the ordinary ones. */
  because?: string
}

/** @returns undefined: the board has its firmware in flash */
export function startFilesOf(
  settings: Pick<Settings, 'lines'>,
  { loader }: Pick<Board, 'loader'>,
): StartFiles | undefined {
  if (loader === 'direct') return undefined
  // The loader that fetches the firmware follows no `include`.
  const get = (key: string) =>
    settings.lines.findLast((line) => line.key === key && line.file === 'config.txt')?.value
  const memory = get('gpu_mem')
  const [variant, because] =
    get('start_x') === '1'
      ? ['x', 'start_x=1']
      : get('start_debug') === '1'
        ? ['db', 'start_debug=1']
        : memory !== undefined && Number(memory) <= 16
          ? ['cd', `gpu_mem=${memory}`]
          : ['']
  const name = loader === 'start4' ? `4${variant}` : variant === '' ? '' : `_${variant}`
  const [start, fixup] = [get('start_file'), get('fixup_file')]
  return {
    start: start ?? `start${name}.elf`,
    fixup: fixup ?? `fixup${name}.dat`,
    because: start === undefined ? because : `start_file=${start}`,
  }
}
