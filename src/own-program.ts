/**
 * How piimage starts another of its own programs. As a package those are files
 * that node runs; in the single executable (packaging/single-file) node's place
 * is taken by the executable itself, which runs a program when asked to.
 */
import { basename } from 'node:path'
import { isSea } from 'node:sea'

/** packaging/single-file/loader.cjs knows this word, too. */
const RUN_PROGRAM = '--piimage-program'

/**
 * @param program path of the program's file
 * @returns the command and its arguments
 */
export const ownProgram = (program: string, ...args: string[]): [command: string, ...args: string[]] =>
  isSea()
    ? [process.execPath, RUN_PROGRAM, basename(program), ...args]
    : [process.execPath, ...process.execArgv, program, ...args]
