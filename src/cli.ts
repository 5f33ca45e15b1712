#!/usr/bin/env node
/**
 * argv → command → exit status. `main` is what tests call; only the last lines
 * of this file touch the process.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import yargs, { type Argv } from 'yargs'
import { brokenInstall } from './broken-install.ts'
import type { AnyCommand, GlobalArgs } from './commands/command.ts'
import { addGlobalFlags } from './commands/global-flags.ts'
import { commands } from './commands/list.ts'
import { type FlagState, flagState } from './commands/yargs-state.ts'
import { ClosedOutputError, OutputError, PiimageError, UsageError } from './errors.ts'
import { nearest, suggest } from './nearest.ts'
import { createOutput, type Output } from './report/output.ts'
import { systemRefusal } from './system-refusal.ts'
import { mayHaveMoreThreads, runWithThreads } from './thread-pool.ts'
import { version } from './version.ts'
import { processWorld, type World } from './world.ts'

/** Wide enough for a sentence, narrow enough for every terminal. */
const HELP_COLUMNS = 80

interface Chosen {
  args: GlobalArgs
  command: AnyCommand
}

/**
 * Run one command line.
 * @param parsed what `parse` makes of it
 * @returns the exit status; docs/commands.md lists what each means
 */
export async function main(
  argv: readonly string[],
  world: World,
  parsed: Promise<Chosen | string> = parse(argv),
): Promise<number> {
  let output: Output = createOutput(world, voice({ json: argv.includes('--json') }))
  try {
    const chosen = await parsed
    if (typeof chosen === 'string') {
      world.stdout.write(`${chosen}\n`)
      return 0
    }
    output = createOutput(world, voice(chosen.args))
    const result = await chosen.command.run(chosen.args, { world, output })
    output.event('result', { ok: true, ...result })
    return 0
  } catch (error) {
    return fail(error, world, output)
  } finally {
    output.close()
  }
}

const voice = ({ json = false, quiet = false }: { json?: boolean; quiet?: boolean }) => ({ json, quiet })

/**
 * @returns the chosen command with its flags, or the text to print (help, version)
 * @throws {UsageError} words that can't be
 */
export async function parse(given: readonly string[]): Promise<Chosen | string> {
  const argv = asFlags(given)
  const verb = findVerb(argv)
  let chosen: Chosen | undefined
  let flags: FlagState | undefined
  /** `<path>`, where the command needs one. */
  let positional: string | undefined
  const cli = describeProgram(
    argv,
    verb,
    () => flags,
    () => positional,
  )
  for (const entry of commands) {
    if (entry.name !== verb) {
      cli.command(entry.name, entry.describe)
      continue
    }
    const command = await entry.load()
    positional = /<[\w-]+>/.exec(command.command)?.[0]
    cli.command(
      command.command,
      command.describe,
      (inner) => {
        // An empty group before the others: what is the command's own comes first in its help.
        const built = command.builder(
          inner.group([], 'Positionals:').group([], 'Options:') as Argv<GlobalArgs>,
        ) as Argv
        flags = flagState(built)
        return built.nargs(valueFlags(flags, command.command))
      },
      (args) => {
        chosen = { args: args as unknown as GlobalArgs, command }
      },
    )
  }
  let text = ''
  await cli.parseAsync(argv, {}, (_error, _args, output) => {
    text = output
  })
  if (text !== '') return text
  if (chosen === undefined || flags === undefined)
    throw new UsageError('no command given', { hint: 'piimage --help lists them' })
  checkValues(chosen.args, flags, argv)
  return chosen
}

/** `piimage help flash` and `piimage version`, as many programs have them. */
function asFlags([first, ...rest]: readonly string[]): string[] {
  if (first === 'help') return [...rest, '--help']
  if (first === 'version') return ['--version']
  return first === undefined ? [] : [first, ...rest]
}

/** The first word that is a command, and no value of a flag before it. */
function findVerb(argv: readonly string[]): string | undefined {
  const { boolean } = flagState(addGlobalFlags(yargs([])))
  return argv.find((word, at) => {
    const before = argv[at - 1] ?? ''
    const isValue = /^--[^=]+$/.test(before) && !boolean.includes(before.slice(2).replace(/^no-/, ''))
    return !isValue && commands.some(({ name }) => name === word)
  })
}

/** Every flag that isn't a yes or no takes one value; positionals aren't flags. */
function valueFlags({ key, boolean }: FlagState, synopsis: string): Record<string, number> {
  const positionals = [...synopsis.matchAll(/[[<]([\w-]+)/g)].map(([, name]) => name)
  const names = Object.keys(key).filter((name) => !boolean.includes(name) && !positionals.includes(name))
  return Object.fromEntries(names.map((name) => [name, 1]))
}

/** @throws {UsageError} what yargs lets pass: a value that is none, or two of what takes one */
function checkValues(args: GlobalArgs, flags: FlagState, argv: readonly string[]): void {
  for (const [name, value] of Object.entries(args)) {
    const written = writtenValues(name, argv)
    if (written.length === 0) continue
    if (Array.isArray(value) && !flags.array.includes(name))
      throw new UsageError(`--${name} is given ${value.length} times`, { hint: 'Give it once' })
    if (written.includes('') && flags.default[name] !== '') throw needsValue(`--${name}`)
    if (Number.isNaN(value))
      throw new UsageError(`--${name} needs a number, and ${written[0]} is not one`, {
        hint: `For example --${name} 1`,
      })
  }
}

/** What stands after `--name`, each time it is given. */
const writtenValues = (name: string, argv: readonly string[]): (string | undefined)[] =>
  argv.flatMap((word, at) => {
    if (word === `--${name}`) return [argv[at + 1]]
    return word.startsWith(`--${name}=`) ? [word.slice(name.length + 3)] : []
  })

const needsValue = (flag: string): UsageError =>
  new UsageError(`${flag} needs a value`, { hint: `Write ${flag} VALUE, or ${flag}=VALUE.` })

/** yargs knows commands that are near, and no flags. */
function unknownFlag(written: string, flags: FlagState | undefined, verb: string | undefined): UsageError {
  const near = nearest(
    written,
    Object.keys(flags?.key ?? {}).filter((name) => name.length > 1),
  )
  const help = verb === undefined ? 'piimage --help' : `piimage ${verb} --help`
  return new UsageError(`there is no flag --${written}`, {
    hint: near === undefined ? `${help} lists what there is` : `did you mean --${near}?`,
  })
}

function describeProgram(
  argv: readonly string[],
  verb: string | undefined,
  flags: () => FlagState | undefined,
  positional: () => string | undefined,
): Argv<GlobalArgs> {
  return addGlobalFlags(yargs(argv))
    .scriptName('piimage')
    .usage('$0 <command>\n\nOne cluster file in git; a verified SD card for every Raspberry Pi in it.')
    .parserConfiguration({ 'duplicate-arguments-array': true })
    .version(version())
    .alias('h', 'help')
    .alias('v', 'version')
    .locale('en')
    .wrap(HELP_COLUMNS)
    .strict()
    .demandCommand(1, 'no command given')
    .recommendCommands()
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      const [, flag] = /^Not enough arguments following: (\S+)/.exec(message ?? error?.message ?? '') ?? []
      if (flag !== undefined) throw needsValue(flag.length === 1 ? `-${flag}` : `--${flag}`)
      const [, unknown] = /^Unknown arguments?: ([\w-]+)$/.exec(message ?? '') ?? []
      if (unknown !== undefined && argv.some((word) => word.split('=', 1)[0] === `--${unknown}`))
        throw unknownFlag(unknown, flags(), verb)
      const help = verb === undefined ? 'piimage --help' : `piimage ${verb} --help`
      throw (
        error ??
        new UsageError(sayPlainly(message, verb, positional()), { hint: `${help} lists what there is` })
      )
    })
}

/** yargs' words for what is missing, as one sentence with the flag in it. */
function sayPlainly(message: string, verb: string | undefined, positional = 'an argument'): string {
  const text = message.split('\n').join(' ')
  const [, flag, needed] = /^Missing dependent arguments: +(\S+) -> (\S+)/.exec(text) ?? []
  if (flag !== undefined) return `--${flag} needs --${needed}`
  const [, first, second] = /^Arguments (\S+) and (\S+) are mutually exclusive/.exec(text) ?? []
  if (first !== undefined) return `--${first} and --${second} exclude each other`
  if (text.startsWith('Not enough non-option arguments')) return `${verb}: ${positional} is missing`
  const [, name, given = '', choices = ''] =
    /^Invalid values: +Argument: (\S+), Given: "(.*)", Choices: (.*)$/.exec(text) ?? []
  if (name !== undefined) {
    const known = [...choices.matchAll(/"([^"]*)"/g)].map(([, word = '']) => word)
    return `${name}: ${JSON.stringify(given)} is none of them; ${suggest(given, known, 'there are')}`
  }
  return text
}

function fail(thrown: unknown, world: World, output: Output): number {
  output.close()
  const { reason } = world.signal
  // A command that writes to stdout itself meets the same refusal as a bare error.
  const isUnsaid = reason instanceof ClosedOutputError || reason instanceof OutputError
  const error = isUnsaid ? reason : (systemRefusal(thrown) ?? brokenInstall(thrown) ?? thrown)
  if (error instanceof ClosedOutputError) return error.exitCode
  if (error instanceof PiimageError) {
    output.fail(`piimage: ${error.message}${error.hint === undefined ? '' : `\n  ${error.hint}`}`)
    output.event('result', {
      ok: false,
      exitCode: error.exitCode,
      error: { name: error.name, message: error.message, hint: error.hint },
    })
    return error.exitCode
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  output.fail(`piimage: this is a bug in piimage, please report it with these lines:\n${stack}`)
  output.event('result', { ok: false, exitCode: 1, error: { name: 'Bug', message: stack } })
  return 1
}

/** The whole program: with more threads where the command needs them, and to the end of what it says. */
async function start(program: string, argv: readonly string[]): Promise<number> {
  const parsed = parse(argv)
  const chosen = await parsed.catch(() => 'main says why')
  if (typeof chosen !== 'string' && mayHaveMoreThreads(process.env))
    if (chosen.command.needsThreads?.(chosen.args)) return runWithThreads(program, argv)
  const world = processWorld()
  const status = await main(argv, world, parsed)
  const unsaid = await world.said()
  if (unsaid === undefined || status === unsaid.exitCode) return status
  // Told when everything was done already.
  if (status === 0) return fail(unsaid, world, createOutput(world, voice({})))
  return status
}

/** Started as a program, not imported: npm's bin link points at this file. */
const startedAs = process.argv[1]
if (startedAs !== undefined && realpathSync(startedAs) === fileURLToPath(import.meta.url)) {
  // No top-level await: the bundled program is a CommonJS module.
  void start(startedAs, process.argv.slice(2)).then((value) => {
    process.exitCode = value
  })
}
