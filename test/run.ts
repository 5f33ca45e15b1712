/**
 * `npm test`: the tests that a desk has the time for. `PIIMAGE_ALL_TESTS=1 npm
 * test`: every one, in parts. First all that share the machine well; then the
 * boots, no more guests at a time than there are processors: each keeps one
 * busy, and starved ones give up on themselves.
 * Words after `--` go to all parts: `npm test -- --test-name-pattern=FAT`.
 *
 * How long each file took in the last whole run stands in durations.json,
 * seconds on two processors; `PIIMAGE_RECORD_DURATIONS=1` writes it anew. What
 * tests counted is gathered for the README (promises.ts).
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { packageRoot } from '../src/package-root.ts'
import { MILLISECONDS } from './support/figures.ts'

const folder = import.meta.dirname
const figures = join(folder, '../figures.jsonl')
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .sort()
const isBoot = (name: string): boolean => name.startsWith('boot/')
/** The others have two. */
const hasOneGuest = (name: string): boolean => /^boot\/(hypriot|network-manager)\.test/.test(name)
/** A file that takes longer is left to the whole run. */
const QUICK_SECONDS = 12
const processors = availableParallelism()
const isWhole = process.env.PIIMAGE_ALL_TESTS === '1'
const record = join(packageRoot(), 'test', 'durations.json')
const durations = JSON.parse(readFileSync(record, 'utf8')) as Record<string, number>
/** Seconds; a file that is not in the record is new, and taken for quick. */
const secondsOf = (name: string): number => durations[name.replace(/\.test\.js$/, '')] ?? 1
const chosen = isWhole ? files : files.filter((name) => !isBoot(name) && secondsOf(name) <= QUICK_SECONDS)

function announce(): void {
  const minutes = (names: readonly string[]) => {
    const seconds = names.reduce((sum, name) => sum + secondsOf(name), 0) / Math.min(processors, 2)
    return `about ${Math.max(1, Math.round(seconds / 60))} minutes on two processors`
  }
  const left = files.filter((name) => !chosen.includes(name))
  const lines = [`piimage: ${chosen.length} of ${files.length} test files, ${minutes(chosen)}.`]
  if (left.length > 0)
    lines.push(
      `Left out: ${listFolders(left)}.`,
      `PIIMAGE_ALL_TESTS=1 npm test runs them too, ${minutes(files)}; it wants root and the tools that .ci/run installs.`,
    )
  else lines.push('None is left out, and none may be skipped.')
  process.stdout.write(`${lines.join('\n')}\n\n`)
}

/** `boot (6), netroot (4)` */
function listFolders(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(dirname(name), (counts.get(dirname(name)) ?? 0) + 1)
  return [...counts].map(([name, count]) => `${name} (${count})`).join(', ')
}

/** @returns its exit status */
function runPart(atOnce: number, names: readonly string[]): number {
  if (names.length === 0) return 0
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

announce()
rmSync(figures, { force: true })
const statuses = [
  runPart(
    processors,
    chosen.filter((name) => !isBoot(name)),
  ),
  runPart(
    Math.max(1, Math.floor(processors / 2)),
    chosen.filter((name) => isBoot(name) && !hasOneGuest(name)),
  ),
  runPart(processors, chosen.filter(hasOneGuest)),
]
process.exitCode = Math.max(...statuses)
if (process.env.PIIMAGE_RECORD_DURATIONS === '1') writeDurations()

function writeDurations(): void {
  const sums = new Map<string, number>()
  for (const line of readFileSync(figures, 'utf8').split('\n')) {
    if (line === '') continue
    const { file, figure, count } = JSON.parse(line) as { file: string; figure: string; count: number }
    const name = file.replace(/^test\//, '').replace(/\.test$/, '')
    if (figure === MILLISECONDS) sums.set(name, (sums.get(name) ?? 0) + count / 1000)
  }
  const rows = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, sum]) => [name, Math.ceil(sum)])
  writeFileSync(record, `${JSON.stringify(Object.fromEntries(rows), null, 2)}\n`)
}
