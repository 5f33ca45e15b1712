/**
 * `npm test`: every test, in two parts. First all that share the machine well;
 * then the boots, one file at a time: each has up to two guests, and each guest
 * keeps a processor busy.
 * Words after `--` go to both parts: `npm test -- --test-name-pattern=FAT`.
 *
 * What the tests counted is gathered for the README (promises.ts).
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const folder = import.meta.dirname
const figures = join(folder, '../figures.jsonl')
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .sort()
const isBoot = (name: string): boolean => name.startsWith('boot/')

/** @returns its exit status */
function runPart(names: readonly string[], ...flags: string[]): number {
  const part = `${figures}.part`
  const reporters = {
    spec: 'stdout',
    [join(folder, 'support/figures-reporter.js')]: part,
  }
  const to = Object.entries(reporters).flatMap(([reporter, destination]) => [
    `--test-reporter=${reporter}`,
    `--test-reporter-destination=${destination}`,
  ])
  const paths = names.map((name) => join(folder, name))
  const words = ['--test', ...to, ...flags, ...process.argv.slice(2), ...paths]
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit' })
  writeFileSync(figures, readFileSync(part), { flag: 'a' })
  rmSync(part)
  return status ?? 1
}

rmSync(figures, { force: true })
const statuses = [
  runPart(
    files.filter((name) => !isBoot(name)),
    `--test-concurrency=${availableParallelism()}`,
  ),
  runPart(files.filter(isBoot), '--test-concurrency=1'),
]
process.exitCode = Math.max(...statuses)
