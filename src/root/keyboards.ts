/**
 * Keyboards of a root file system: models, layouts and their variants, as
 * xkb-data lists them.
 *
 * Source: xkeyboard-config, rules/base.lst; keyboard(5).
 */
import { type RootFiles, readRootText } from './root-files.ts'

export interface Keyboards {
  models: ReadonlySet<string>
  layouts: ReadonlySet<string>
  /** Layout → its variants: `de` → `nodeadkeys` … */
  variants: ReadonlyMap<string, ReadonlySet<string>>
}

export async function readKeyboards(root: RootFiles): Promise<Keyboards | undefined> {
  const text =
    (await readRootText(root, '/usr/share/X11/xkb/rules/base.lst')) ??
    (await readRootText(root, '/usr/share/X11/xkb/rules/evdev.lst'))
  if (text === undefined) return undefined
  const models = new Set<string>()
  const layouts = new Set<string>()
  const variants = new Map<string, Set<string>>()
  let section = ''
  for (const line of text.split('\n')) {
    section = /^!\s*(\w+)/.exec(line)?.[1] ?? section
    const [, name, rest = ''] = /^\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (name === undefined) continue
    if (section === 'model') models.add(name)
    if (section === 'layout') layouts.add(name)
    // `nodeadkeys      de: German (no dead keys)`
    const layout = section === 'variant' ? /^([^:\s]+):/.exec(rest)?.[1] : undefined
    if (layout !== undefined) variants.set(layout, (variants.get(layout) ?? new Set()).add(name))
  }
  return { models, layouts, variants }
}
