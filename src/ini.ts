/** INI files, as systemd, NetworkManager and what is like them read them: the one writer. */
import { oneLine } from './plain-value.ts'

/**
 * Settings by key, in their order: a list is the key several times, undefined
 * leaves it out, and what `#` has is a comment.
 */
export type Settings = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * @param sections in their order; undefined ones are left out. Several groups of settings keep the order of all
 * @throws {UsageError} a value that would go on in the next line
 */
export const formatIni = (
  sections: Readonly<Record<string, Settings | readonly Settings[] | undefined>>,
): string =>
  Object.entries(sections)
    .flatMap(([name, settings]) =>
      settings === undefined ? [] : [`[${name}]\n${[settings].flat().flatMap(linesOf).join('')}`],
    )
    .join('\n')

const linesOf = (settings: Settings): string[] =>
  Object.entries(settings).flatMap(([key, value = []]) =>
    [value]
      .flat()
      .map((one) => (key === '#' ? `# ${one}\n` : `${key}=${oneLine(one, `the value of ${key}`)}\n`)),
  )
