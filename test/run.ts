/**
 * `npm test`: every test, in parts. First all that share the machine well; then
 * the boots, no more guests at a time than there are processors: each keeps one
 * busy, and starved ones give up on themselves.
 * Words after `--` go to all parts: `npm test -- --test-name-pattern=FAT`.
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
/** The others have two. */
const hasOneGuest = (name: string): boolean => /^boot\/(hypriot|network-manager)\.test/.test(name)
const processors = availableParallelism()

/** @returns its exit status */
function runPart(atOnce: number, names: readonly string[]): number {
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
  const words = ['--test', `--test-concurrency=${atOnce}`, ...to, ...process.argv.slice(2), ...paths]
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit' })
  writeFileSync(figures, readFileSync(part), { flag: 'a' })
  rmSync(part)
  return status ?? 1
}

rmSync(figures, { force: true })
const statuses = [
  runPart(
    processors,
    files.filter((name) => !isBoot(name)),
  ),
  runPart(
    Math.max(1, Math.floor(processors / 2)),
    files.filter((name) => isBoot(name) && !hasOneGuest(name)),
  ),
  runPart(processors, files.filter(hasOneGuest)),
]
process.exitCode = Math.max(...statuses)
