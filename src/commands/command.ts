/** What a command is: words for `--help`, flags, and a function from flags to a result. */
import type { Argv } from 'yargs'
import type { Output } from '../report/output.ts'
import type { World } from '../world.ts'

/** Flags every command takes. */
export interface GlobalArgs {
  cluster: string
  lock?: string
  cache?: string
  json: boolean
  quiet: boolean
  color: boolean
  offline: boolean
  yes: boolean
}

export interface Context {
  world: World
  output: Output
}

export interface Command<Args extends object = object> {
  /** yargs command words: `flash [drive..]`. */
  command: string
  describe: string
  builder(cli: Argv<GlobalArgs>): Argv<GlobalArgs & Args>
  /** @returns what the last `--json` line says besides `ok: true` */
  run(args: GlobalArgs & Args, context: Context): Promise<object | undefined>
  /** Whether it writes to so many drives at once that it needs more threads (../thread-pool.ts). */
  needsThreads?(args: GlobalArgs & Args): boolean
}

/** A command as cli.ts sees it, whatever its flags are. */
export interface AnyCommand {
  command: string
  describe: string
  builder(cli: Argv<GlobalArgs>): unknown
  run(args: GlobalArgs, context: Context): Promise<object | undefined>
  needsThreads?(args: GlobalArgs): boolean
}

/** Let TypeScript infer the flags from the builder. */
export const defineCommand = <Args extends object>(command: Command<Args>): Command<Args> => command

/** A command in the list of all. */
export interface CommandEntry {
  name: string
  describe: string
  load: () => Promise<AnyCommand>
}
