/**
 * dietpi.txt and dietpi-wifi.txt: one `KEY=value` a line, without quotes, read
 * by DietPi's scripts with sed: of a key the first line counts that is no
 * comment, blanks before it do not matter, and everything behind `=` is the
 * value, a carriage return and a comment included.
 *
 * Source: MichaIng/DietPi, `rootfs/var/lib/dietpi/services/dietpi-firstboot.bash`.
 */
import { oneLine } from '../plain-value.ts'

const keyOf = (line: string): string | undefined => /^[ \t]*([A-Za-z0-9_[\]]+)=/.exec(line)?.[1]

/** @returns undefined: the file doesn't say */
export function dietpiSetting(text: string, key: string): string | undefined {
  const line = text.split(/\r?\n/).find((one) => keyOf(one) === key)
  return line?.slice(line.indexOf('=') + 1)
}

/** Each key once, where it stood first or at the end; lines end in LF. */
export function withDietpiSettings(text: string, settings: Readonly<Record<string, string>>): string {
  const left = new Map(Object.entries(settings))
  const lines = text
    .replace(/\n$/, '')
    .split(/\r?\n/)
    .map((line) => line.replace(/\r$/, ''))
    .flatMap((line) => {
      const key = keyOf(line) ?? ''
      if (!(key in settings)) return [line]
      const value = left.get(key)
      left.delete(key)
      return value === undefined ? [] : [`${key}=${oneLine(value, key)}`]
    })
  for (const [key, value] of left) lines.push(`${key}=${oneLine(value, key)}`)
  return `${lines.join('\n').replace(/^\n/, '')}\n`
}
