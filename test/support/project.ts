/** A cluster folder to run piimage in, and piimage run in it, in this process. */
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { main } from '../../src/cli.ts'
import { packageRoot } from '../../src/package-root.ts'
import type { World } from '../../src/world.ts'
import { tempFolder } from './temp.ts'
import { run } from './tools.ts'

export const DEMO_IMAGE = 'demo-trixie-arm64-lite@2025-12-05'
/** Where the demo image's partitions lie, bytes. */
export const DEMO_LAYOUT = {
  boot: { offset: 8192 * 512, length: 81920 * 512 },
  root: { offset: 90112 * 512, length: 32768 * 512 },
  length: 122880 * 512,
}

export interface Said {
  status: number
  stdout: string
  stderr: string
  /** stdout of --json, a line each. */
  events: Record<string, unknown>[]
}

export interface Project {
  folder: string
  file(name: string): string
  /** Run one command line here. */
  piimage(...args: string[]): Promise<Said>
  /** Something to do before the folder is removed, such as unmounting what lies in it. */
  beforeRemoval(chore: () => void): void
  /** The same, while somebody reads what it says as it comes. */
  piimageWatched(onText: (text: string) => void, ...args: string[]): Promise<Said>
}

export interface ProjectOptions {
  /** What the person answers to every yes/no question; default: nobody is there. */
  answer?: boolean | (() => boolean)
  /** What the person answers to other questions; default: nobody is there. */
  ask?: World['ask']
  signal?: AbortSignal
  /** Called with each piece of stdout and stderr as it is written. */
  onText?: (text: string) => void
}

/** The demo cluster with its own copy of the image, its own lock and cache, and a key that never changes. */
export function demoProject(t: TestContext, options: ProjectOptions = {}): Project {
  const chores: (() => void)[] = []
  const folder = tempFolder(t, () => {
    for (const chore of chores) chore()
  })
  const file = (name: string) => join(folder, name)
  const examples = join(packageRoot(), 'examples', 'demo')
  copyFileSync(join(examples, 'cluster.yaml'), file('cluster.yaml'))
  copyFileSync(join(examples, 'demo.img.xz'), file('demo.img.xz'))
  const shipped = JSON.parse(readFileSync(join(packageRoot(), 'images.lock.json'), 'utf8'))
  const image = { ...shipped.images[DEMO_IMAGE], url: 'file:demo.img.xz' }
  writeFileSync(
    file('images.lock.json'),
    JSON.stringify({ lockfileVersion: 1, images: { [DEMO_IMAGE]: image } }),
  )
  writeFileSync(file('cluster.key'), `${createHash('sha256').update('test').digest('hex')}\n`, {
    mode: 0o600,
  })
  mkdirSync(file('cache'))
  return {
    folder,
    file,
    beforeRemoval: (chore) => void chores.push(chore),
    piimage: (...args) => runPiimage(folder, [...args, '--cache', file('cache')], options),
    piimageWatched: (onText, ...args) =>
      runPiimage(folder, [...args, '--cache', file('cache')], { ...options, onText }),
  }
}

/** `main` with its two streams kept. */
export async function runPiimage(cwd: string, args: string[], options: ProjectOptions = {}): Promise<Said> {
  let stdout = ''
  let stderr = ''
  const world: World = {
    stdout: {
      write: (text) => {
        stdout += text
        options.onText?.(text)
      },
    },
    stderr: {
      write: (text) => {
        stderr += text
        options.onText?.(text)
      },
    },
    env: { HOME: cwd },
    cwd,
    platform: process.platform,
    now: () => new Date(),
    confirm: async () =>
      typeof options.answer === 'function' ? options.answer() : (options.answer ?? false),
    ask: options.ask ?? (async () => undefined),
    signal: options.signal ?? new AbortController().signal,
  }
  const status = await main(absolutePaths(args, cwd), world)
  const events = args.includes('--json')
    ? stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
    : []
  return { status, stdout, stderr, events }
}

/** The process stays where it is; only the cluster file's path is taken as it is given. */
const absolutePaths = (args: string[], cwd: string): string[] =>
  args.includes('--cluster') || args[0] === 'init' ? args : [...args, '--cluster', join(cwd, 'cluster.yaml')]

/** The raw demo image. */
export function unpackDemo(project: Project): Buffer {
  const path = project.file('stock.img')
  const unpacked = run('sh', ['-c', 'xz -dc demo.img.xz > stock.img'], { cwd: project.folder })
  if (unpacked.status !== 0) throw new Error(unpacked.stderr)
  return readFileSync(path)
}

/** One partition of a card, as a file of its own for tools that want one. */
export function cutOut(card: Uint8Array, part: { offset: number; length: number }, path: string): string {
  writeFileSync(path, card.subarray(part.offset, part.offset + part.length))
  return path
}
