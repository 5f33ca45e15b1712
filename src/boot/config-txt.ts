/**
 * config.txt: what the Pi's firmware sets before the kernel starts.
 *
 * Lines of `key=value`, read from top to bottom; a line `[filter]` makes the
 * following ones count on some models only, until `[all]`. The last value of a
 * key wins; `dtoverlay=` and `dtparam=` add up instead.
 *
 * Our lines stand in one block at the end, between two marker comments, and
 * the block names its filters itself: appending blindly would put a line under
 * whatever filter the stock file happens to end with. The block is rendered
 * whole each time, so a second run changes nothing and an overlay that is gone
 * leaves nothing behind. The image's own lines are never touched.
 *
 * Source: Raspberry Pi documentation, "config.txt" and "Conditional filters".
 */
import { FormatError, UsageError } from '../errors.ts'
import { readLines } from '../firmware/config-txt.ts'
import { oneLine, showValue } from '../plain-value.ts'

const BEGIN = '# BEGIN piimage'
const END = '# END piimage'
/** Old firmware reads no more of a line. */
const MAX_LINE_BYTES = 98
/** These keys add up instead of replacing each other. */
const additive = new Set(['dtoverlay', 'dtparam', 'gpio', 'device_tree_param', 'include', 'initramfs'])

export interface ConfigTxtLine {
  /** Without brackets: `all`, `pi4`, `cm5`. */
  filter: string
  key: string
  value: string
}

function checkLine({ filter, key, value }: ConfigTxtLine): void {
  if (!/^[A-Za-z0-9+=:_-]+$/.test(filter)) {
    throw new UsageError(`${showValue(filter)} is not a config.txt filter`, {
      hint: 'Use all, pi4, pi5, cm4 and the like, without brackets.',
    })
  }
  if (!/^[a-z0-9_]+(?::[01])?$/i.test(key)) {
    throw new UsageError(`${showValue(key)} is not a config.txt key`, {
      hint: 'Keys are letters, digits and underscores.',
    })
  }
  oneLine(value, `config.txt: ${key}`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  if (/[^\x00-\x7f]/.test(value) || Buffer.byteLength(`${key}=${value}`) > MAX_LINE_BYTES) {
    throw new UsageError(
      `config.txt: ${key}=${showValue(value)} is longer than ${MAX_LINE_BYTES} bytes or not ASCII`,
      {
        hint: 'The firmware would cut the line off.',
      },
    )
  }
}

/** Lines before and after our block; the block itself dropped. */
function withoutBlock(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const begin = lines.findIndex((line) => line.trim() === BEGIN)
  if (begin === -1) return lines
  const end = lines.findIndex((line, index) => index > begin && line.trim() === END)
  if (end === -1) {
    throw new FormatError(`config.txt: line ${begin + 1} is "${BEGIN}", but "${END}" is missing`, {
      hint: 'Somebody edited the block. Take its lines out of config.txt, or start from a fresh image.',
    })
  }
  return [...lines.slice(0, begin), ...lines.slice(end + 1)]
}

/** The image's own lines. Under two filters at once is another place than under either. */
const readStock = (lines: readonly string[]): ConfigTxtLine[] =>
  [...readLines(lines.join('\n'))].map(({ key, value, filters }) => ({
    filter: filters.join('] [').toLowerCase() || 'all',
    key,
    value,
  }))

/** These two stand without `=`. */
const writeLine = ({ key, value }: ConfigTxtLine): string =>
  key === 'include' || key === 'initramfs' ? `${key} ${value}` : `${key}=${value}`

const same = (a: ConfigTxtLine, b: ConfigTxtLine): boolean =>
  a.filter === b.filter && a.key === b.key && a.value === b.value

/**
 * @param text the file as it is, with or without our block
 * @param wanted the lines that must count, in order; the later of two values of one key wins
 * @returns the file with exactly these lines in our block; those the image has anyway are left out
 */
export function editConfigTxt(text: string, wanted: readonly ConfigTxtLine[]): string {
  for (const line of wanted) checkLine(line)
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  // More than one before a line's end, or one at the end of the file, would be another kind of line end next time.
  const lines = withoutBlock(text.replaceAll(/\r+(?=\n|$)/g, ''))
  const stock = readStock(lines)
  // What an included file says is not known here, so nothing is taken for said.
  const includes = stock.some(({ key }) => key === 'include')
  const needed: ConfigTxtLine[] = []
  for (const line of wanted) {
    if (additive.has(line.key)) {
      // A second identical overlay would be loaded twice.
      if (!stock.some((other) => same(other, line)) && !needed.some((other) => same(other, line)))
        needed.push(line)
      continue
    }
    const earlier = needed.findIndex((other) => other.filter === line.filter && other.key === line.key)
    if (earlier !== -1) needed.splice(earlier, 1)
    // A value under a model's filter further down would win on that model: then ours is said again.
    const said = stock.filter((other) => other.key === line.key)
    if (
      !includes &&
      said.length > 0 &&
      said.every((other) => other.value === line.value) &&
      said.some((other) => same(other, line))
    )
      continue
    needed.push(line)
  }
  if (needed.length === 0) return lines.map((line) => `${line}${eol}`).join('')
  const filters = ['all', ...new Set(needed.map((line) => line.filter).filter((filter) => filter !== 'all'))]
  const block = [BEGIN]
  for (const filter of filters) {
    block.push(`[${filter}]`)
    for (const line of needed) if (line.filter === filter) block.push(writeLine(line))
  }
  // Whatever is appended later must count on every model again.
  if (filters.length > 1) block.push('[all]')
  return [...lines, ...block, END].map((line) => `${line}${eol}`).join('')
}
