/** `init` killed at each step of making its files: none is torn, and the next run makes what is missing. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseClusterKey } from '../../src/secrets/cluster-key.ts'
import { figure } from '../support/figures.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool } from '../support/tools.ts'
import { runVictim } from './victim.ts'

const WORDS = ['init', 'home', '--template', 'demo', '--yes']

/** Each makes some of the files; the second of a kind belongs to the second file. */
const moments = [
  ['fsync', 1],
  ['fsync', 2],
  ['fsync', 3],
  ['fsync', 4],
  ['link', 1],
  ['link', 2],
  ['unlink', 1],
  ['unlink', 2],
  ['mkdir', 1],
] as const

const filesOf = (home: string): string[] => readdirSync(home).sort()

test('init killed at every step: the next run has a whole key and a whole cluster file', async (t) => {
  if (needTool(t, 'strace', 'strace') === undefined) return
  const reference = tempFolder(t)
  assert.equal((await runVictim(WORDS, { cwd: reference })).status, 0)
  const whole = readFileSync(join(reference, 'home/cluster.yaml'), 'utf8')
  let kills = 0
  for (const [call, when] of moments) {
    const folder = tempFolder(t)
    const home = join(folder, 'home')
    // Calls are counted by thread, and which thread makes which is open: not every moment comes.
    const death = await runVictim(WORDS, { cwd: folder, killAt: { call, when } })
    if (death.killed) kills += 1
    const read = (name: string): string | undefined =>
      statSync(join(home, name), { throwIfNoEntry: false }) && readFileSync(join(home, name), 'utf8')
    const [key, cluster] = [read('cluster.key'), read('cluster.yaml')]
    if (key !== undefined) parseClusterKey(key, 'cluster.key')
    if (cluster !== undefined) {
      assert.equal(cluster, whole)
      assert.ok(key !== undefined, 'the cluster file comes last')
    }
    const next = await runVictim(WORDS, { cwd: folder })
    assert.equal(next.status, 0, next.said)
    assert.deepEqual(filesOf(home), ['.gitignore', 'cluster.key', 'cluster.yaml'], `${call} ${when}`)
    assert.equal(read('cluster.yaml'), whole)
    parseClusterKey(read('cluster.key') ?? '', 'cluster.key')
    if (key !== undefined) assert.equal(read('cluster.key'), key, 'a key that was made is kept')
  }
  assert.ok(kills >= 4, `${kills} kills`)
  // The least there are, so that the figure is the same in every run.
  figure(t, 'kills', 4)
})
