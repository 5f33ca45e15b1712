/** What may stand at the end of a command line: commands, flags, and values of both. */
import type { World } from '../world.ts'
import type { CommandEntry } from './command.ts'
import { type CommandDescription, describeCommand, describeGlobalFlags, type Flag } from './flag-table.ts'

export interface Candidate {
  text: string
  about?: string
}

/** What a value can be, found on this machine. */
type Values = (words: readonly string[], world: World) => Promise<Candidate[]>

const listModels: Values = async () =>
  (await import('../cluster/boards.ts')).modelNames.map((text) => ({ text }))

/** By the name of a flag or positional, where its choices don't say. A value that is not listed is a file's name. */
const values: Record<string, Values> = {
  node: listNodes,
  what: listNodes,
  image: listImages,
  model: listModels,
  as: listModels,
  drive: listWritableDrives,
  path: listWritableDrives,
  shell: async () => ['bash', 'zsh', 'fish'].map((text) => ({ text })),
}

/** @param words what was typed after `piimage`; the last is the one at the cursor, '' for a new one */
export async function listCandidates(
  commands: readonly CommandEntry[],
  words: readonly string[],
  world: World,
): Promise<Candidate[]> {
  const word = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const verb = before.find((text) => commands.some(({ name }) => name === text))
  const entry = commands.find(({ name }) => name === verb)
  const described = entry === undefined ? undefined : await describeCommand(entry)
  const flags = [...(described?.groups ?? []), describeGlobalFlags()].flatMap((group) => group.flags)

  const [, assigned, partial] = /^--([\w-]+)=(.*)$/s.exec(word) ?? []
  if (assigned !== undefined) {
    const found = await valuesOf(findFlag(flags, `--${assigned}`), partial ?? '', before, world)
    return startingWith(
      word,
      found.map(({ text, about }) => ({ text: `--${assigned}=${text}`, about })),
    )
  }
  const asked = findFlag(flags, before.at(-1))
  if (asked !== undefined && asked.type !== 'boolean')
    return startingWith(word, await valuesOf(asked, word, before, world))
  if (word.startsWith('-')) return startingWith(word, listFlags(flags, before))
  if (described === undefined)
    return startingWith(
      word,
      commands.map(({ name, describe }) => ({ text: name, about: describe })),
    )
  const positional = nextPositional(described, flags, before.slice(before.indexOf(described.name) + 1))
  return startingWith(word, await valuesOf(positional, word, before, world))
}

const startingWith = (word: string, candidates: readonly Candidate[]): Candidate[] =>
  candidates.filter(({ text }) => text.startsWith(word))

const findFlag = (flags: readonly Flag[], word: string | undefined): Flag | undefined =>
  flags.find(({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`))

/** Those that are not there yet, or may be given again. */
function listFlags(flags: readonly Flag[], before: readonly string[]): Candidate[] {
  const given = (name: string) => before.some((text) => text === `--${name}` || text.startsWith(`--${name}=`))
  return [
    ...flags
      .filter(({ name, repeatable }) => repeatable || !given(name))
      .map(({ name, describe, type, default: preset }) => ({
        text: type === 'boolean' && preset === 'true' ? `--no-${name}` : `--${name}`,
        about: describe,
      })),
    { text: '--help', about: 'Show help' },
  ]
}

/** The positional at the cursor; the last one of a command may stand more than once. */
function nextPositional(
  { positionals }: CommandDescription,
  flags: readonly Flag[],
  words: readonly string[],
): Flag | undefined {
  const isValue = (index: number) => {
    const flag = findFlag(flags, words[index - 1])
    return flag !== undefined && flag.type !== 'boolean'
  }
  const filled = words.filter((text, index) => !text.startsWith('-') && !isValue(index)).length
  return positionals[Math.min(filled, positionals.length - 1)]
}

async function valuesOf(
  flag: Flag | undefined,
  partial: string,
  before: readonly string[],
  world: World,
): Promise<Candidate[]> {
  if (flag === undefined) return []
  if (flag.choices.length > 0) return flag.choices.map((text) => ({ text }))
  const list = values[flag.name]
  if (list === undefined) return []
  // What is half typed or broken has no candidates; saying so is the command's own business.
  const found = await list(before, world).catch(() => [])
  const [, node] = flag.name === 'node' ? (/^([^=]+)=/.exec(partial) ?? []) : []
  if (node === undefined) return found
  const drives = await listWritableDrives().catch(() => [])
  return drives.map(({ text, about }) => ({ text: `${node}=${text}`, about }))
}

/** The value of a flag that is typed already. */
const given = (words: readonly string[], flag: string): string | undefined =>
  words.flatMap((text, index) =>
    text === flag ? (words[index + 1] ?? []) : text.startsWith(`${flag}=`) ? text.slice(flag.length + 1) : [],
  )[0]

/** As a command would find its cluster file and its lock. */
const requestOf = (words: readonly string[]) => ({
  cluster: given(words, '--cluster'),
  lock: given(words, '--lock'),
})

/** The nodes of a cluster file that is right, or at least readable. */
async function listNodes(words: readonly string[], world: World): Promise<Candidate[]> {
  const { resolve } = await import('node:path')
  const { isMap, isScalar, parseDocument } = await import('yaml')
  const { readInputText } = await import('../io/input-file.ts')
  const file = resolve(world.cwd, requestOf(words).cluster ?? 'cluster.yaml')
  const nodes = parseDocument(readInputText(file), { logLevel: 'silent', uniqueKeys: false }).get('nodes')
  if (!isMap(nodes)) return []
  return nodes.items.flatMap(({ key, value }) => {
    const model = isMap(value) ? value.get('model') : undefined
    const about = typeof model === 'string' ? model : undefined
    // Only what a shell takes as it stands; a name with anything else in it is a mistake anyway.
    return isScalar(key) && /^[A-Za-z0-9-]+$/.test(String(key.value))
      ? { text: String(key.value), about }
      : []
  })
}

async function listImages(words: readonly string[], world: World): Promise<Candidate[]> {
  const { readLocks } = await import('../work/project.ts')
  const { images } = await readLocks(requestOf(words), world)
  return [...images.keys()].filter((text) => /^[A-Za-z0-9@.+-]+$/.test(text)).map((text) => ({ text }))
}

async function listWritableDrives(): Promise<Candidate[]> {
  const { listDrives } = await import('../drives/list.ts')
  const { findRefusal } = await import('../drives/refusal.ts')
  const { describeDrive } = await import('./describe-drive.ts')
  const drives = await listDrives()
  return drives
    .filter((drive) => findRefusal(drive, { imageLength: 0, holdsCache: false }) === undefined)
    .map((drive) => ({ text: drive.path, about: describeDrive(drive) }))
}
