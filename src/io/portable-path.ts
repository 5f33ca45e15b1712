/** Paths as they are written into files that move between machines, or between their folders. */
import { isAbsolute, join, relative, sep } from 'node:path'

/** Below the home folder: `~/…`; otherwise unchanged. */
export function fromHome(path: string, home: string): string {
  const inside = pathInside(path, home)
  return inside === undefined ? path : `~/${inside}`
}

/** As a file in `folder` writes it: relative if it lies there, `~/…` if it is the person's, else absolute. */
export const fromFolder = (path: string, folder: string, home: string): string =>
  pathInside(path, folder) ?? fromHome(path, home)

/** What a person typed: the shell leaves `~/` alone inside quotes and after `=`. */
export const expandHome = (text: string, home: string): string =>
  text.startsWith('~/') ? join(home, text.slice(2)) : text

/** With forward slashes; undefined: it lies elsewhere. */
function pathInside(path: string, folder: string): string | undefined {
  const inside = relative(folder, path)
  if (inside === '' || isAbsolute(inside) || inside.split(sep)[0] === '..') return undefined
  return inside.split(sep).join('/')
}
