/** `piimage boot --keep`, until all that it starts is up and can be asked. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { asNobody } from '../support/nobody.ts'
import { type Ran, run } from '../support/tools.ts'

export interface KeptRun {
  /** What it said of each when it was up: the event `booted`. */
  booted: Record<string, unknown>[]
  ask(name: string, command: string): Ran
  /** The answer, trimmed. @throws {AssertionError} the command failed there */
  said(name: string, command: string): string
  /** A file of that node's run: `card.img`, `id_ed25519`. */
  file(name: string, file: string): string
}

export interface KeptOptions {
  /** Becomes its home and the place for its throw-away cards, too. */
  folder: string
  /** How many it starts. */
  count?: number
  /** By a user who may do nothing, whose `folder` must be. */
  nobody?: boolean
  onConsole?: (line: string) => void
}

/**
 * Ctrl-C ends it after `use`; it must end well then, and leave nothing.
 * @param words after `piimage boot`
 */
export async function bootAndKeep(
  t: TestContext,
  words: readonly string[],
  { folder, count = 1, nobody = false, onConsole = () => {} }: KeptOptions,
  use: (run: KeptRun) => Promise<void> | void,
): Promise<void> {
  const cli = join(packageRoot(), 'build/src/cli.js')
  const line = [process.execPath, cli, 'boot', ...words, '--keep', '--console', '--json']
  const [program = '', ...args] = nobody ? asNobody(line).flat() : line
  const piimage = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, HOME: folder, TMPDIR: folder, PIIMAGE_CACHE: join(folder, 'cache') },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(piimage, 'close')
  const opened = new Map<string, string>()
  const booted: Record<string, unknown>[] = []
  const areUp = new Promise<void>((resolve) => {
    // Read to its end: nobody may wait for a full pipe.
    createInterface({ input: piimage.stdout })
      .on('line', (text) => {
        const { event, ...told } = JSON.parse(text) as Record<string, unknown>
        if (event === 'boot-step') t.diagnostic(`${told.node}: ${told.seconds} s: ${told.step}`)
        if (event === 'console') onConsole(String(told.line))
        if (event === 'booted') booted.push(told)
        if (event === 'kept') opened.set(String(told.node), String(told.ssh))
        if (opened.size === count) resolve()
      })
      .on('close', resolve)
  })
  const openerOf = (name: string) => opened.get(name)?.split(' ') ?? assert.fail(`${name} can't be asked`)
  const ask = (name: string, command: string) => {
    const [ssh = '', ...rest] = openerOf(name)
    return run(ssh, [...rest, command])
  }
  const said = (name: string, command: string) => {
    const ran = ask(name, command)
    assert.equal(ran.status, 0, `${name}: ${command}: ${ran.stderr}`)
    return ran.stdout.trim()
  }
  // ssh -F CONFIG NAME
  const file = (name: string, wanted: string) => join(dirname(openerOf(name)[2] ?? ''), wanted)
  try {
    await areUp
    for (const { node, checks, problem } of booted)
      t.diagnostic(`${node}: ${problem ?? 'yes'}: ${JSON.stringify(checks)}`)
    await use({ booted, ask, said, file })
  } finally {
    piimage.kill('SIGINT')
    await ended
  }
  assert.deepEqual(await ended, [0, null])
  const left = readdirSync(folder).filter((one) => one.startsWith('piimage-boot-'))
  assert.deepEqual(left, [], 'nothing is left of the run')
}
