/**
 * The house in figures: in how many files one thing is named, how imports run,
 * how long files are. `npm run -s house` prints them with the files behind each;
 * ./house.test.ts holds those that have been reached.
 *
 * Comments don't count. A name counts as a word of an identifier (`k3sToken`
 * names k3s) or of a text, so that neither a constant nor a longer text hides it.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { boards } from '../src/cluster/boards.ts'
import { rootModeWords } from '../src/cluster/root-modes.ts'
import { editKinds } from '../src/customise/edit-kinds.ts'
import { packageRoot } from '../src/package-root.ts'

const source = join(packageRoot(), 'src')

export interface SourceFile {
  /** Below src/. */
  path: string
  lines: number
  /** Words of identifiers, lower case: `joinKey` has `join` and `key`. */
  words: ReadonlySet<string>
  /** Identifiers as they stand. */
  identifiers: ReadonlySet<string>
  /** Texts in quotes, and the parts of templates. */
  texts: readonly string[]
  /** Files below src/ that it imports. */
  imports: readonly string[]
}

export function readHouse(): SourceFile[] {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => readSource(path, readFileSync(join(source, path), 'utf8')))
}

/** One alternative each: comment, text, template, regular expression, identifier. */
const TOKEN =
  /(\/\/.*|\/\*[\s\S]*?\*\/)|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")|(`(?:[^`\\]|\\.)*`)|((?<=[=(,:!&|?{};[]\s*|return\s+)\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*)|([A-Za-z_$][\w$]*)/g

export function readSource(path: string, code: string): SourceFile {
  const identifiers = new Set<string>()
  const texts: string[] = []
  const read = (part: string): void => {
    for (const [, , text, template, pattern, identifier] of part.matchAll(TOKEN)) {
      if (text !== undefined) texts.push(text.slice(1, -1))
      else if (template !== undefined) {
        // What stands in ${…} is code; one level of braces in it is enough here.
        const inside = /\$\{((?:[^{}]|\{[^{}]*\})*)\}/g
        texts.push(
          ...template
            .slice(1, -1)
            .split(inside)
            .filter((_, index) => index % 2 === 0),
        )
        for (const [, expression = ''] of template.matchAll(inside)) read(expression)
      } else if (pattern !== undefined) texts.push(pattern)
      else if (identifier !== undefined) identifiers.add(identifier)
    }
  }
  read(code)
  const imports = [...code.matchAll(/(?:\bfrom|\bimport\(|^import)\s*'(\.[^']+)'/gm)].map(([, target = '']) =>
    relative(source, join(source, dirname(path), target)),
  )
  return {
    path,
    lines: code.split('\n').length - 1,
    words: new Set([...identifiers].flatMap(wordsOf)),
    identifiers,
    texts: texts.filter((text) => !text.startsWith('.') || !text.endsWith('.ts')),
    imports,
  }
}

/** `k3sToken`, `K3S_TOKEN` → `k3s`, `token` */
const wordsOf = (identifier: string): string[] =>
  identifier
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[\s_$]+/)
    .filter((word) => word !== '')
    .map((word) => word.toLowerCase())

/** Whether a file has the name, as a word of an identifier or of a text. */
export function names({ words, texts }: SourceFile, name: string): boolean {
  if (words.has(name)) return true
  const word = new RegExp(`(?<![a-z0-9])${name.replace('+', '\\+')}(?![a-z0-9])`, 'i')
  return texts.some((text) => word.test(text))
}

/** Whether a file has the name as a value: a text that is nothing else, or a key. */
const hasValue = ({ identifiers, texts }: SourceFile, name: string): boolean =>
  texts.includes(name) || identifiers.has(name)

/** Names of modes and kinds are everyday words elsewhere: `copy`, `overlay`, `file`, `config`. */
const isAboutRoots = ({ path }: SourceFile): boolean =>
  /^(netroot|servers|rehearsal|work\/netroot|commands\/netroot|cluster\/root-modes)/.test(path)

const isAboutEdits = ({ path, imports }: SourceFile): boolean =>
  path === EDITS || path.endsWith('edit-kinds.ts') || imports.includes(EDITS)

const EDITS = 'node/edits.ts'

/** Files on a circle of imports, a list for each circle. */
export function circles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const found: string[][] = []
  const state = new Map<string, { index: number; low: number; open: boolean }>()
  const stack: string[] = []
  const visit = (at: string): { index: number; low: number; open: boolean } => {
    const mine = { index: state.size, low: state.size, open: true }
    state.set(at, mine)
    stack.push(at)
    for (const next of graph.get(at) ?? []) {
      const theirs = state.get(next)
      if (theirs === undefined) mine.low = Math.min(mine.low, visit(next).low)
      else if (theirs.open) mine.low = Math.min(mine.low, theirs.index)
    }
    if (mine.low !== mine.index) return mine
    const circle = stack.splice(stack.indexOf(at))
    for (const one of circle) (state.get(one) ?? mine).open = false
    if (circle.length > 1) found.push(circle.sort())
    return mine
  }
  for (const at of graph.keys()) if (!state.has(at)) visit(at)
  return found
}

/**
 * Imports inside a room that run back up: with each of its folders as one
 * place, those between two places that lie on a circle, in the direction that
 * fewer imports take.
 */
export function upward(files: readonly SourceFile[]): string[] {
  const placeOf = (path: string) => path.split('/').slice(0, 2).join('/')
  const rooms = new Map<string, Map<string, Set<string>>>()
  const arrows = new Map<string, string[]>()
  for (const { path, imports } of files)
    for (const target of imports) {
      const [room = ''] = path.split('/')
      if (!path.includes('/') || !target.startsWith(`${room}/`)) continue
      const [from, to] = [placeOf(path), placeOf(target)]
      const places = rooms.get(room) ?? new Map<string, Set<string>>()
      rooms.set(room, places)
      if (from === to) continue
      places.set(from, (places.get(from) ?? new Set()).add(to))
      const arrow = `${from} → ${to}`
      arrows.set(arrow, [...(arrows.get(arrow) ?? []), `${path} → ${target}`])
    }
  const up: string[] = []
  for (const places of rooms.values())
    for (const circle of circles(places))
      for (const from of circle)
        for (const to of places.get(from) ?? []) {
          if (!circle.includes(to)) continue
          const [there, back] = [arrows.get(`${from} → ${to}`) ?? [], arrows.get(`${to} → ${from}`) ?? []]
          // On a circle of more than two, the way back is no single arrow: all of it counts.
          if (back.length === 0 || there.length < back.length || (there.length === back.length && from < to))
            up.push(...there)
        }
  return up
}

export interface Figure {
  name: string
  count: number
  limit?: number
  /** What was counted. */
  of: string[]
}

const features = readdirSync(join(source, 'features'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

export const joinKinds = ['swarm', 'k3s', 'kubeadm']

export function figures(files: readonly SourceFile[]): Figure[] {
  const graph = new Map(files.map(({ path, imports }) => [path, new Set(imports)]))
  const rings = circles(graph)
  const lines = files.map((file) => file.lines).sort((a, b) => a - b)
  const pathsOf = (chosen: readonly SourceFile[]) => chosen.map(({ path }) => path)
  const figure = (name: string, of: string[], limit?: number): Figure => ({
    name,
    count: of.length,
    limit,
    of,
  })
  const outside = (name: string) => files.filter(({ path }) => !path.startsWith(`features/${name}/`))
  return [
    ...features.map((name) =>
      figure(
        `feature ${name}`,
        pathsOf(outside(name).filter((file) => names(file, name))),
        joinKinds.includes(name) ? 3 : undefined,
      ),
    ),
    ...Object.keys(boards).map((name) =>
      figure(`board ${name}`, pathsOf(files.filter((file) => hasValue(file, name))), 2),
    ),
    ...rootModeWords
      .filter((name) => name !== 'auto')
      .map((name) =>
        figure(
          `root mode ${name}`,
          pathsOf(files.filter((file) => isAboutRoots(file) && file.texts.includes(name))),
          4,
        ),
      ),
    ...Object.keys(editKinds).map((name) =>
      figure(
        `edit kind ${name}`,
        pathsOf(files.filter((file) => isAboutEdits(file) && file.texts.includes(name))),
        3,
      ),
    ),
    figure(
      'circles between files',
      rings.map((ring) => ring.join(' ')),
      0,
    ),
    figure('imports that run up inside a room', upward(files), 0),
    { name: 'lines of src/', count: lines.reduce((sum, one) => sum + one, 0), of: [] },
    {
      name: 'lines of commands/',
      count: files
        .filter(({ path }) => path.startsWith('commands/'))
        .reduce((sum, file) => sum + file.lines, 0),
      limit: 2500,
      of: [],
    },
    { name: 'lines of the median file', count: lines[Math.floor(lines.length / 2)] ?? 0, of: [] },
    { name: 'files of src/', count: files.length, of: [] },
  ]
}

if (process.argv[1] === import.meta.filename)
  for (const { name, count, limit, of } of figures(readHouse())) {
    const mark = limit === undefined ? ' ' : count <= limit ? '=' : '!'
    process.stdout.write(
      `${mark} ${String(count).padStart(5)}${limit === undefined ? '' : ` of ${limit}`}  ${name}\n`,
    )
    if (mark === '!' || process.argv.includes('--all'))
      for (const one of of) process.stdout.write(`           ${one}\n`)
  }
