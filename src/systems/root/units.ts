/** Units of an image, by name: old releases start some of them by a script. */
import type { RootSnapshot } from './root-snapshot.ts'

const folders = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system'] as const

const scriptOf = (unit: string): string => `/etc/init.d/${unit.slice(0, unit.indexOf('.'))}`

/** Where a unit may lie. */
export const unitPaths = (unit: string): string[] => [...folders.map((at) => `${at}/${unit}`), scriptOf(unit)]

export const hasUnit = ({ has }: RootSnapshot, unit: string): boolean =>
  unitPaths(unit).some((path) => has(path))
