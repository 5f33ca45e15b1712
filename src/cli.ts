#!/usr/bin/env node
/**
 * argv → command → exit status. `main` is what tests call; only the last lines
 * of this file touch the process.
 */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import yargs, { type Argv } from 'yargs'
import type { AnyCommand, GlobalArgs } from './commands/command.ts'
import { addGlobalFlags } from './commands/global-flags.ts'
import { commands } from './commands/list.ts'
import { PiimageError, UsageError } from './errors.ts'
import { createOutput, type Output } from './report/output.ts'
import { systemRefusal } from './system-refusal.ts'
import { needsThreads, runWithThreads } from './thread-pool.ts'
import { version } from './version.ts'
import { processWorld, type World } from './world.ts'

/** Wide enough for a sentence, narrow enough for every terminal. */
const HELP_COLUMNS = 80

/** Flags that are lists; each command's builder says `array` of them too. */
const repeatable = new Set(['address', 'erase', 'node', 'file', 'ssh-key'])

interface Chosen {
  args: GlobalArgs
  command: AnyCommand
}

/**
 * Run one command line.
 * @returns the exit status; docs/commands.md lists what each means
 */
export async function main(argv: readonly string[], world: World): Promise<number> {
  let output: Output = createOutput(world, voice({ json: argv.includes('--json') }))
  try {
    const parsed = await parse(argv)
    if (typeof parsed === 'string') {
      world.stdout.write(`${parsed}\n`)
      return 0
    }
    output = createOutput(world, voice(parsed.args))
    const result = await parsed.command.run(parsed.args, { world, output })
    output.event('result', { ok: true, ...result })
    return 0
  } catch (error) {
    return fail(error, output)
  } finally {
    output.close()
  }
}

const voice = ({ json = false, quiet = false }: { json?: boolean; quiet?: boolean }) => ({ json, quiet })

/** @returns the chosen command with its flags, or the text to print (help, version) */
async function parse(argv: readonly string[]): Promise<Chosen | string> {
  const verb = argv.find((word) => commands.some((entry) => entry.name === word))
  let chosen: Chosen | undefined
  const cli = describeProgram(yargs([...argv]), verb)
  for (const entry of commands) {
    if (entry.name !== verb) {
      cli.command(entry.name, entry.describe)
      continue
    }
    const command = await entry.load()
    cli.command(
      command.command,
      command.describe,
      // An empty group before the others: what is the command's own comes first in its help.
      (inner) =>
        command.builder(inner.group([], 'Positionals:').group([], 'Options:') as Argv<GlobalArgs>) as Argv,
      (args) => {
        chosen = { args: args as unknown as GlobalArgs, command }
      },
    )
  }
  let text = ''
  await cli.parseAsync([...argv], {}, (_error, _args, output) => {
    text = output
  })
  if (text !== '') return text
  if (chosen === undefined) throw new UsageError('no command given', { hint: 'piimage --help lists them' })
  refuseTwice(chosen.args, argv)
  return chosen
}

/** A flag with one value that is given twice: yargs would hand on a list. */
function refuseTwice(args: GlobalArgs, argv: readonly string[]): void {
  for (const [name, value] of Object.entries(args)) {
    if (!Array.isArray(value) || repeatable.has(name)) continue
    if (argv.some((word) => word === `--${name}` || word.startsWith(`--${name}=`)))
      throw new UsageError(`--${name} is given ${value.length} times`, { hint: 'Give it once' })
  }
}

function describeProgram(cli: Argv, verb: string | undefined): Argv<GlobalArgs> {
  return addGlobalFlags(cli)
    .scriptName('piimage')
    .usage('$0 <command>\n\nOne cluster file in git; a verified SD card for every Raspberry Pi in it.')
    .parserConfiguration({ 'duplicate-arguments-array': true })
    .version(version())
    .locale('en')
    .wrap(HELP_COLUMNS)
    .strict()
    .demandCommand(1, 'no command given')
    .recommendCommands()
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      const help = verb === undefined ? 'piimage --help' : `piimage ${verb} --help`
      throw error ?? new UsageError(sayPlainly(message, verb), { hint: `${help} lists what there is` })
    })
}

/** yargs' words for what is missing, as one sentence with the flag in it. */
function sayPlainly(message: string, verb: string | undefined): string {
  const text = message.split('\n').join(' ')
  const [, flag, needed] = /^Missing dependent arguments: +(\S+) -> (\S+)/.exec(text) ?? []
  if (flag !== undefined) return `--${flag} needs --${needed}`
  const [, first, second] = /^Arguments (\S+) and (\S+) are mutually exclusive/.exec(text) ?? []
  if (first !== undefined) return `--${first} and --${second} exclude each other`
  if (text.startsWith('Not enough non-option arguments')) return `${verb}: an argument is missing`
  return text
}

function fail(thrown: unknown, output: Output): number {
  output.close()
  const error = systemRefusal(thrown) ?? thrown
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

/** Started as a program, not imported: npm's bin link points at this file. */
const startedAs = process.argv[1]
if (startedAs !== undefined && realpathSync(startedAs) === fileURLToPath(import.meta.url)) {
  const argv = process.argv.slice(2)
  const status = needsThreads(argv, process.env)
    ? runWithThreads(startedAs, argv)
    : main(argv, processWorld())
  // No top-level await: the bundled program is a CommonJS module.
  void status.then((value) => {
    process.exitCode = value
  })
}
