/**
 * What `--help` says of a command, as data: man pages, tab completion and the
 * list of commands in docs/ are made from it, so none of them can go stale.
 */
import yargs from 'yargs'
import type { CommandEntry } from './command.ts'
import { addGlobalFlags, GLOBAL_GROUP } from './global-flags.ts'
import { flagState } from './yargs-state.ts'

export interface Flag {
  /** Without the dashes. */
  name: string
  /** One letter, without the dash. */
  short?: string
  describe: string
  /** Boolean flags take no value. */
  type: 'boolean' | 'number' | 'string'
  /** May be given more than once. */
  repeatable: boolean
  choices: readonly string[]
  /** undefined: none, or false. */
  default?: string
}

export interface CommandDescription {
  name: string
  /** `flash [drive..]` */
  synopsis: string
  describe: string
  positionals: Flag[]
  /** In the order and under the headings of `--help`. */
  groups: { title: string; flags: Flag[] }[]
  examples: { line: string; describe: string }[]
}

/** What of yargs' own state is read; its types leave it out. */
interface YargsState {
  getGroups(): Record<string, string[]>
  getInternalMethods(): {
    getUsageInstance(): { getDescriptions(): Record<string, string | undefined> }
  }
}

export async function describeCommand(entry: CommandEntry): Promise<CommandDescription> {
  const command = await entry.load()
  const own = yargs([])
  const examples: CommandDescription['examples'] = []
  // yargs keeps examples as rows of its help text; they are wanted as they were given.
  own.example = ((line: string | [string, string][], describe: string = '') => {
    const rows: [string, string][] = typeof line === 'string' ? [[line, describe]] : line
    for (const [text, what] of rows) examples.push({ line: text.replaceAll('$0', 'piimage'), describe: what })
    return own
  }) as typeof own.example
  command.builder(own as Parameters<typeof command.builder>[0])
  const flags = readFlags(own)
  const positionalNames = [...command.command.matchAll(/[[<]([\w-]+)(?:\.\.)?[\]>]/g)].map(([, name]) => name)
  const isPositional = ({ name }: Flag) => positionalNames.includes(name)
  const grouped = new Set<string>()
  const groups = Object.entries((own as unknown as YargsState).getGroups()).map(([title, names]) => {
    for (const name of names) grouped.add(name)
    return { title, flags: flags.filter(({ name }) => names.includes(name)) }
  })
  const rest = flags.filter((flag) => !grouped.has(flag.name) && !isPositional(flag))
  return {
    name: entry.name,
    synopsis: command.command,
    describe: command.describe,
    positionals: flags.filter(isPositional),
    groups: [{ title: 'Options:', flags: rest }, ...groups].filter((group) => group.flags.length > 0),
    examples,
  }
}

/** The flags that every command takes, besides `--help` and `--version`. */
export function describeGlobalFlags(): { title: string; flags: Flag[] } {
  const cli = yargs([])
  addGlobalFlags(cli)
  return { title: GLOBAL_GROUP, flags: readFlags(cli) }
}

function readFlags(cli: object): Flag[] {
  const state = cli as YargsState
  const options = flagState(cli)
  const descriptions = state.getInternalMethods().getUsageInstance().getDescriptions()
  const shorts = new Set(Object.values(options.alias).flat())
  const isFlag = (name: string) =>
    !['help', 'version'].includes(name) && !shorts.has(name) && !options.hiddenOptions.includes(name)
  return Object.keys(options.key)
    .filter(isFlag)
    .map((name) => ({
      name,
      short: options.alias[name]?.find((alias) => alias.length === 1),
      describe: descriptions[name] ?? '',
      type: options.boolean.includes(name) ? 'boolean' : options.number.includes(name) ? 'number' : 'string',
      repeatable: options.array.includes(name),
      choices: options.choices[name] ?? [],
      default: formatDefault(options.default[name]),
    }))
}

function formatDefault(value: unknown): string | undefined {
  if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) return undefined
  return String(value)
}
